// Starts, reads and cancels a payout with Temporal's Go SDK, and nothing of remit's own. Copy what you need;
// what holds in every language stands in ../README.md. The command line is in main.go.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

const (
	noAnswer    = 1
	notAccepted = 2
	refused     = 3
	notFound    = 4
	conflict    = 5
)

const (
	// A worker at hand answers in milliseconds. Without a limit, Temporal waits long for one that is not there.
	toldWithin = 5 * time.Second
	// An order has to be written down first.
	answeredWithin = 20 * time.Second
)

// Sad says why there is no good answer, and the exit code that says so.
type Sad struct {
	exit int
	says string
}

func (sad *Sad) Error() string { return sad.says }

func sad(exit int, format string, args ...any) error { return &Sad{exit, fmt.Sprintf(format, args...)} }

var (
	plain   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,40}$`)
	attempt = regexp.MustCompile(`-retry-[0-9]+$`)
)

// PayoutKey is the key of a payout: what names it for ever, at the provider and in Temporal. Made from your id alone.
func PayoutKey(externalID string) (string, error) {
	whole := utf8.ValidString(externalID) && !strings.Contains(externalID, "\x00")
	if len(externalID) < 1 || len(externalID) > 255 || !whole {
		return "", sad(notAccepted, "externalId: expected 1 to 255 bytes of text without NUL")
	}
	if plain.MatchString(externalID) && !strings.HasPrefix(externalID, "h-") && !attempt.MatchString(externalID) {
		return externalID, nil
	}
	sum := sha256.Sum256([]byte(externalID))
	return "h-" + hex.EncodeToString(sum[:16]), nil
}

func workflowIDOf(externalID string) (string, error) {
	key, err := PayoutKey(externalID)
	return "payout-" + key, err
}

// Started tells what became of a start.
type Started struct {
	WorkflowID string `json:"workflowId"`
	How        string `json:"how"` // new or existing
	Claimed    bool   `json:"claimed"`
}

// Start starts a payout, or finds the one that the same request started before: when in doubt, call it again.
func Start(ctx context.Context, temporalClient client.Client, request json.RawMessage) (*Started, error) {
	var id struct {
		ExternalID string `json:"externalId"`
	}
	if err := json.Unmarshal(request, &id); err != nil {
		return nil, sad(notAccepted, "the request is not a payout: %v", err)
	}
	workflowID, err := workflowIDOf(id.ExternalID)
	if err != nil {
		return nil, err
	}
	started := &Started{WorkflowID: workflowID, How: "new"}
	_, err = temporalClient.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       workflowID,
		TaskQueue:                "remit",
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		// Without this, the Go SDK takes another request's payout for this one's, and says nothing.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, "payout", request)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		started.How = "existing"
		there, err := inputOf(ctx, temporalClient, workflowID)
		if err != nil {
			return nil, err
		}
		differs, err := Differences(there, request)
		if err != nil {
			return nil, err
		}
		if len(differs) > 0 {
			return nil, sad(conflict, "the id of %s was used before for another request (not the same: %s); nothing was started",
				workflowID, strings.Join(differs, ", "))
		}
	} else if err != nil {
		return nil, err
	}
	started.Claimed, err = isClaimed(ctx, temporalClient, workflowID)
	return started, err
}

// Whether the payout has claimed its id, which is the first thing it does. A request that is not accepted, and a
// conflict with a payout that Temporal has forgotten, are found out here. False when no worker tells in time: it is
// started all the same, and Show tells later.
func isClaimed(ctx context.Context, temporalClient client.Client, workflowID string) (bool, error) {
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		run, err := describe(ctx, temporalClient, workflowID)
		if err != nil || run == nil {
			continue
		}
		answer, err := read(ctx, temporalClient, run)
		var why *Sad
		if errors.As(err, &why) {
			return false, err
		}
		if err == nil && answer["stage"] != "Requested" {
			return true, nil
		}
	}
	return false, nil
}

// What the workflow of this id was started with.
func inputOf(ctx context.Context, temporalClient client.Client, workflowID string) (json.RawMessage, error) {
	events := temporalClient.GetWorkflowHistory(ctx, workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := events.Next()
	if err != nil {
		return nil, err
	}
	var there json.RawMessage
	// With a data converter of your own, use that one.
	input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := converter.GetDefaultDataConverter().FromPayloads(input, &there); err != nil {
		return nil, fmt.Errorf("%s exists, and its input cannot be read, look at it in Temporal: %w", workflowID, err)
	}
	return there, nil
}

// Differences names the fields that are not the same in both requests.
func Differences(one, other json.RawMessage) ([]string, error) {
	a, err := facts(one)
	if err != nil {
		return nil, err
	}
	b, err := facts(other)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, request := range []map[string]any{a, b} {
		for name := range request {
			if !reflect.DeepEqual(a[name], b[name]) {
				names[name] = true
			}
		}
	}
	differs := make([]string, 0, len(names))
	for name := range names {
		differs = append(differs, name)
	}
	sort.Strings(differs)
	return differs, nil
}

// A request without what makes no difference: fields that are null, and the case of a contract address.
func facts(request json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(string(request)))
	decoder.UseNumber() // digits stay as they are
	var there map[string]any
	if err := decoder.Decode(&there); err != nil {
		return nil, err
	}
	strip(there)
	return there, nil
}

func strip(object map[string]any) {
	for name, value := range object {
		switch value := value.(type) {
		case nil:
			delete(object, name)
		case string:
			if name == "contract" {
				object[name] = strings.ToLower(value)
			}
		case map[string]any:
			strip(value)
		}
	}
}

// Run is what Temporal says of one run of a workflow.
type Run = workflow.WorkflowExecutionInfo

// Show tells where a payout is, or how it ended.
func Show(ctx context.Context, temporalClient client.Client, externalID string) (map[string]any, error) {
	run, err := newest(ctx, temporalClient, externalID)
	if err != nil {
		return nil, err
	}
	return read(ctx, temporalClient, run)
}

// The run of a payout. An operator may have opened another attempt at a payout that is over: then that one counts.
func newest(ctx context.Context, temporalClient client.Client, externalID string) (*Run, error) {
	workflowID, err := workflowIDOf(externalID)
	if err != nil {
		return nil, err
	}
	run, err := describe(ctx, temporalClient, workflowID)
	if err == nil && run == nil {
		err = sad(notFound, "no %s in Temporal: never started, or over for longer than it is kept", workflowID)
	}
	for n := 1; err == nil && n < 100 && run.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING; n++ {
		var next *Run
		next, err = describe(ctx, temporalClient, fmt.Sprintf("%s-retry-%d", workflowID, n))
		if next == nil {
			break
		}
		run = next
	}
	return run, err
}

// What Temporal says of the workflow of this id; nil if there is none.
func describe(ctx context.Context, temporalClient client.Client, workflowID string) (*Run, error) {
	description, err := temporalClient.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil, nil
	}
	return description.GetWorkflowExecutionInfo(), err
}

// While it runs, the answer of its query status; when it is over, its outcome. The first needs a worker.
func read(ctx context.Context, temporalClient client.Client, run *Run) (map[string]any, error) {
	workflowID, runID := run.Execution.WorkflowId, run.Execution.RunId
	answer := map[string]any{}
	if run.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		err := temporalClient.GetWorkflow(ctx, workflowID, runID).Get(ctx, &answer)
		var failed *temporal.WorkflowExecutionError
		if errors.As(err, &failed) {
			return nil, whyItFailed(workflowID, failed.Unwrap())
		}
		return answer, err
	}
	ctx, done := context.WithTimeout(ctx, toldWithin)
	defer done()
	status, err := temporalClient.QueryWorkflow(ctx, workflowID, runID, "status")
	if err != nil {
		return nil, fmt.Errorf("%s does not tell its status: is a worker running? (%w)", workflowID, err)
	}
	return answer, status.Get(&answer)
}

// Every ending of a payout is a result. A run fails only when its input was refused or its id belongs to another
// request; anything else was done to it from outside.
func whyItFailed(workflowID string, cause error) error {
	var failure *temporal.ApplicationError
	if errors.As(cause, &failure) && failure.Type() == "remit.refused" {
		return sad(notAccepted, "%s refused its input: %s", workflowID, failure.Message())
	} else if errors.As(cause, &failure) && failure.Type() == "remit.conflict" {
		return sad(conflict, "%s stopped: %s", workflowID, failure.Message())
	}
	return sad(noAnswer, "%s was ended in Temporal (%v); start the same request again to take it up where it was left",
		workflowID, cause)
}

// Order says who orders something, and why: 1 to 200 characters each.
type Order struct {
	By  string `json:"by"`
	Why string `json:"why"`
}

// Answer is what an order is told.
type Answer struct {
	Answer string `json:"answer"` // accepted or refused
	Stage  string `json:"stage"`
	Says   string `json:"says"`
}

// Cancel calls a payout off. Refused once it may have been confirmed: then the answer says what happens instead.
func Cancel(ctx context.Context, temporalClient client.Client, externalID string, order Order) (*Answer, error) {
	run, err := newest(ctx, temporalClient, externalID)
	if err != nil {
		return nil, err
	}
	workflowID := run.Execution.WorkflowId
	limited, done := context.WithTimeout(ctx, answeredWithin)
	defer done()
	answer := &Answer{}
	update, err := temporalClient.UpdateWorkflow(limited, client.UpdateWorkflowOptions{
		WorkflowID:   workflowID,
		UpdateName:   "cancel",
		Args:         []any{order},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = update.Get(limited, answer)
	}
	var rejected *temporal.ApplicationError
	var missing *serviceerror.NotFound
	switch {
	case err == nil:
		return answer, nil
	case errors.As(err, &rejected):
		return nil, sad(notAccepted, "%s does not take the order: %s", workflowID, rejected.Message())
	case limited.Err() != nil:
		return nil, sad(noAnswer, "%s has not answered; whether it will be called off is not known: "+
			"give the same order again, it may be given twice", workflowID)
	case errors.As(err, &missing): // Temporal takes no orders for a run that is over.
		outcome, errReading := Show(ctx, temporalClient, externalID)
		if errReading != nil {
			return nil, errReading
		}
		if ending, over := outcome["ending"].(string); over {
			return &Answer{"refused", ending, fmt.Sprintf("it is over: %v", outcome["reason"])}, nil
		}
	}
	return nil, err
}
