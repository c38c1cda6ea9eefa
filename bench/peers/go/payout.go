package main

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// A request as our starters send it, as far as this needs it.
type Request struct {
	ExternalID  string      `json:"externalId"`
	WalletID    string      `json:"walletId"`
	Asset       Asset       `json:"asset"`
	Amount      string      `json:"amount"`
	Destination Destination `json:"destination"`
}

type Asset struct {
	Kind     string `json:"kind"`
	Contract string `json:"contract"`
}

type Destination struct {
	Provider       string `json:"provider"`
	AccountID      string `json:"accountId"`
	InstructionsID string `json:"instructionsId"`
	Currency       string `json:"currency"`
	Country        string `json:"country"`
	Purpose        string `json:"purpose"`
}

// What a reading found.
type Seen struct {
	Status          string `json:"status"`
	ExecutionStatus string `json:"executionStatus"`
	WalletID        string `json:"walletId"`
	Contract        string `json:"contract"`
	Amount          string `json:"amount"`
	DepositAddress  string `json:"depositAddress"`
}

// What is confirmed.
type Confirmation struct {
	PayoutID string `json:"payoutId"`
	WalletID string `json:"walletId"`
	Asset    Asset  `json:"asset"`
	Amount   string `json:"amount"`
	To       string `json:"to"`
}

// How it ended.
type Done struct {
	PayoutID string `json:"payoutId"`
	Status   string `json:"status"`
}

type ActionRequired struct {
	PayoutID string `json:"payoutId"`
}

// How often is asked when nobody tells: the same for every run, as a constant of a deployed build would be.
type payouts struct {
	pollFirst, pollMax time.Duration
}

// Quote, create, wait, read, compare, confirm, wait.
func (p *payouts) pay(ctx workflow.Context, request Request) (*Done, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 15 * time.Second})
	if err := workflow.ExecuteActivity(ctx, "quote", request).Get(ctx, nil); err != nil {
		return nil, err
	}
	var id string
	if err := workflow.ExecuteActivity(ctx, "create", request).Get(ctx, &id); err != nil {
		return nil, err
	}

	seen, err := p.untilActionRequired(ctx, id)
	if err != nil {
		return nil, err
	}
	same := seen.WalletID == request.WalletID && seen.Amount == request.Amount &&
		strings.EqualFold(seen.Contract, request.Asset.Contract)
	if !same || seen.DepositAddress == "" {
		return nil, temporal.NewApplicationError(fmt.Sprintf("payout %s is not what was asked for", id), "different")
	}
	confirmation := Confirmation{id, request.WalletID, request.Asset, request.Amount, seen.DepositAddress}
	if err := workflow.ExecuteActivity(ctx, "confirm", confirmation).Get(ctx, nil); err != nil {
		return nil, err
	}

	// Retried by the server until it is so: the sample "infrequent polling".
	polling := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 15 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: p.pollFirst, BackoffCoefficient: 1.5, MaximumInterval: p.pollMax,
		},
	})
	done := Done{PayoutID: id}
	if err := workflow.ExecuteActivity(polling, "await_completion", id).Get(ctx, &done.Status); err != nil {
		return nil, err
	}
	return &done, nil
}

// Returns once the provider waits for us: told by the signal, or found by a reading.
func (p *payouts) untilActionRequired(ctx workflow.Context, id string) (*Seen, error) {
	told := workflow.GetSignalChannel(ctx, "action_required")
	for pause := p.pollFirst; ; pause = min(2*pause, p.pollMax) {
		timer, cancel := workflow.WithCancel(ctx)
		workflow.NewSelector(ctx).
			AddReceive(told, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, &ActionRequired{}) }).
			AddFuture(workflow.NewTimer(timer, pause), func(workflow.Future) {}).
			Select(ctx)
		cancel()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var seen Seen
		if err := workflow.ExecuteActivity(ctx, "read", id).Get(ctx, &seen); err != nil {
			return nil, err
		}
		if seen.ExecutionStatus == "AwaitingPayoutConfirmation" {
			return &seen, nil
		}
		if seen.Status != "Processing" {
			return nil, temporal.NewApplicationError(fmt.Sprintf("payout %s is %s", id, seen.Status), "over")
		}
	}
}
