// The command line of the starter:
//
//	payout start FILE.json
//	payout show ID
//	payout cancel ID --by WHO --why TEXT
//
// ID is your own id of the payout. The answer is JSON; the exit code is 0 done, 1 no answer, 2 not accepted,
// 3 refused, 4 no such payout, 5 the id belongs to another request. Where Temporal is comes from TEMPORAL_ADDRESS
// and the other settings of all its SDKs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"
)

const usage = "usage: payout start FILE.json | show ID | cancel ID --by WHO --why TEXT"

// What the command line asks for. Read before anything is connected.
func asked(args []string) (func(context.Context, client.Client) (any, error), error) {
	if len(args) < 2 {
		return nil, sad(notAccepted, usage)
	}
	command, what := args[0], args[1]
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var order Order
	if command == "cancel" {
		flags.StringVar(&order.By, "by", "", "who orders it")
		flags.StringVar(&order.Why, "why", "", "the reason")
	}
	if err := flags.Parse(args[2:]); err != nil || flags.NArg() > 0 {
		return nil, sad(notAccepted, usage)
	}
	switch command {
	case "start":
		request, err := os.ReadFile(what)
		if err != nil {
			return nil, sad(notAccepted, "%s is not read: %v", what, err)
		}
		return func(ctx context.Context, c client.Client) (any, error) { return Start(ctx, c, request) }, nil
	case "show":
		return func(ctx context.Context, c client.Client) (any, error) { return Show(ctx, c, what) }, nil
	case "cancel":
		return func(ctx context.Context, c client.Client) (any, error) { return Cancel(ctx, c, what, order) }, nil
	}
	return nil, sad(notAccepted, usage)
}

func run(args []string) (int, error) {
	ask, err := asked(args)
	if err != nil {
		return 0, err
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return 0, err
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	temporalClient, err := client.Dial(options)
	if err != nil {
		return 0, err
	}
	defer temporalClient.Close()
	answer, err := ask(context.Background(), temporalClient)
	if err != nil {
		return 0, err
	}
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return 0, err
	}
	fmt.Println(string(text))
	if answer, ordered := answer.(*Answer); ordered && answer.Answer == "refused" {
		return refused, nil
	}
	return 0, nil
}

func main() {
	exit, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "payout:", err)
		exit = noAnswer
		var why *Sad
		if errors.As(err, &why) {
			exit = why.exit
		}
	}
	os.Exit(exit)
}
