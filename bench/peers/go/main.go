// A payout as somebody would write it in Go who takes Temporal's samples for a pattern, to compare remit's worker with.
// This is its worker; payout.go is the workflow, dfns.go the provider.
package main

import (
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

func main() {
	provider, err := newDfns(
		setting("DFNS_BASE_URL"), setting("DFNS_TOKEN"), setting("DFNS_CREDENTIAL_ID"), setting("DFNS_PRIVATE_KEY_FILE"))
	if err != nil {
		log.Fatalln("cannot sign for Dfns:", err)
	}
	payouts := &payouts{
		pollFirst: time.Duration(number("PEER_POLL_FIRST_MS")) * time.Millisecond,
		pollMax:   time.Duration(number("PEER_POLL_MAX_MS")) * time.Millisecond,
	}
	if _, given := os.LookupEnv("PEER_CACHED_WORKFLOWS"); given {
		worker.SetStickyWorkflowCacheSize(number("PEER_CACHED_WORKFLOWS"))
	}

	// The SDK's own logger writes everything it does, debugging included, to stdout.
	warnings := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
	temporal, err := client.Dial(client.Options{
		HostPort:  setting("TEMPORAL_ADDRESS"),
		Namespace: setting("TEMPORAL_NAMESPACE"),
		Logger:    tlog.NewStructuredLogger(slog.New(warnings)),
	})
	if err != nil {
		log.Fatalln("no answer from Temporal:", err)
	}
	defer temporal.Close()

	w := worker.New(temporal, setting("PEER_TASK_QUEUE"), worker.Options{})
	w.RegisterWorkflowWithOptions(payouts.pay, workflow.RegisterOptions{Name: "bare_payout"})
	w.RegisterActivityWithOptions(provider.quote, activity.RegisterOptions{Name: "quote"})
	w.RegisterActivityWithOptions(provider.create, activity.RegisterOptions{Name: "create"})
	w.RegisterActivityWithOptions(provider.read, activity.RegisterOptions{Name: "read"})
	w.RegisterActivityWithOptions(provider.confirm, activity.RegisterOptions{Name: "confirm"})
	w.RegisterActivityWithOptions(provider.awaitCompletion, activity.RegisterOptions{Name: "await_completion"})
	if err := w.Start(); err != nil {
		log.Fatalln("the worker does not start:", err)
	}
	fmt.Println("ready")
	<-worker.InterruptCh()
	w.Stop()
}

func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set; ../README.md says what this worker needs", name)
	}
	return value
}

func number(name string) int {
	value, err := strconv.Atoi(setting(name))
	if err != nil || value <= 0 {
		log.Fatalf("%s: expected a whole number above zero, got %q", name, os.Getenv(name))
	}
	return value
}
