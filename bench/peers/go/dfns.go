package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.temporal.io/sdk/temporal"
)

// The provider's API, as far as a payout needs it, and the activities that call it.
type dfns struct {
	base, token, credential string
	key                     ed25519.PrivateKey
	http                    *http.Client
}

func newDfns(base, token, credential, keyFile string) (*dfns, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: expected a PKCS#8 PEM", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: expected an Ed25519 key", keyFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Two kept connections a host, the default, would mean new ones all the time.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	return &dfns{base, token, credential, key, &http.Client{Transport: transport, Timeout: 10 * time.Second}}, nil
}

func (d *dfns) quote(ctx context.Context, request Request) error {
	return d.call(ctx, http.MethodPost, "/payouts/quote", encode(map[string]any{
		"walletId":     request.WalletID,
		"asset":        assetOf(request.Asset, request.Amount),
		"fiatCurrency": request.Destination.Currency,
		"provider":     request.Destination.Provider,
		"country":      request.Destination.Country,
	}), "", nil)
}

// Repeated safely: the provider knows a payout by our id of it.
func (d *dfns) create(ctx context.Context, request Request) (string, error) {
	var payout payoutObject
	err := d.signed(ctx, "/payouts", encode(map[string]any{
		"walletId":              request.WalletID,
		"asset":                 assetOf(request.Asset, request.Amount),
		"fiatCurrency":          request.Destination.Currency,
		"provider":              request.Destination.Provider,
		"country":               request.Destination.Country,
		"borderlessAccountId":   request.Destination.AccountID,
		"paymentInstructionsId": request.Destination.InstructionsID,
		"paymentPurpose":        request.Destination.Purpose,
		"externalId":            request.ExternalID,
	}), &payout)
	return payout.ID, err
}

func (d *dfns) read(ctx context.Context, id string) (*Seen, error) {
	payout, err := d.payout(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Seen{
		Status:          payout.Status,
		ExecutionStatus: payout.Data.ExecutionStatus,
		WalletID:        payout.WalletID,
		Contract:        payout.Asset.Contract,
		Amount:          payout.Asset.Amount,
		DepositAddress:  payout.Data.DepositAddress,
	}, nil
}

func (d *dfns) confirm(ctx context.Context, confirmation Confirmation) error {
	transfer := assetOf(confirmation.Asset, confirmation.Amount)
	transfer["to"] = confirmation.To
	err := d.signed(ctx, "/payouts/"+confirmation.PayoutID+"/action", encode(map[string]any{
		"action":   "Confirm",
		"walletId": confirmation.WalletID,
		"transfer": transfer,
	}), nil)
	// After an answer that was lost, the second try is refused: it has been confirmed, by us.
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusPreconditionFailed {
		if payout, readErr := d.payout(ctx, confirmation.PayoutID); readErr == nil && payout.Data.DateConfirmed != "" {
			return nil
		}
	}
	return err
}

func (d *dfns) awaitCompletion(ctx context.Context, id string) (string, error) {
	payout, err := d.payout(ctx, id)
	if err != nil {
		return "", err
	}
	switch payout.Status {
	case "Completed":
		return payout.Status, nil
	case "Processing":
		// Expected, so it is no warning.
		return "", temporal.NewApplicationErrorWithOptions(
			fmt.Sprintf("payout %s is not completed yet", id), "not yet",
			temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
	default:
		return "", temporal.NewNonRetryableApplicationError(fmt.Sprintf("payout %s is %s", id, payout.Status), "over", nil)
	}
}

type payoutObject struct {
	ID       string `json:"id"`
	WalletID string `json:"walletId"`
	Status   string `json:"status"`
	Asset    struct {
		Amount   string `json:"amount"`
		Contract string `json:"contract"`
	} `json:"asset"`
	Data struct {
		ExecutionStatus string `json:"executionStatus"`
		DepositAddress  string `json:"depositAddress"`
		DateConfirmed   string `json:"dateConfirmed"`
	} `json:"data"`
}

func (d *dfns) payout(ctx context.Context, id string) (*payoutObject, error) {
	var payout payoutObject
	err := d.call(ctx, http.MethodGet, "/payouts/"+id, nil, "", &payout)
	return &payout, err
}

func assetOf(asset Asset, amount string) map[string]string {
	return map[string]string{"kind": asset.Kind, "contract": asset.Contract, "amount": amount}
}

// A write that Dfns wants signed: a challenge, our answer to it, and the write itself with what that gave.
func (d *dfns) signed(ctx context.Context, path string, body []byte, into any) error {
	var challenge struct {
		Challenge           string `json:"challenge"`
		ChallengeIdentifier string `json:"challengeIdentifier"`
	}
	err := d.call(ctx, http.MethodPost, "/auth/action/init", encode(map[string]string{
		"userActionPayload":    string(body),
		"userActionHttpMethod": http.MethodPost,
		"userActionHttpPath":   path,
		"userActionServerKind": "Api",
	}), "", &challenge)
	if err != nil {
		return err
	}

	// Keys of a map are in alphabetical order, which Dfns asks for.
	clientData := encode(map[string]string{"challenge": challenge.Challenge, "type": "key.get"})
	var action struct {
		UserAction string `json:"userAction"`
	}
	err = d.call(ctx, http.MethodPost, "/auth/action", encode(map[string]any{
		"challengeIdentifier": challenge.ChallengeIdentifier,
		"firstFactor": map[string]any{
			"kind": "Key",
			"credentialAssertion": map[string]string{
				"credId":     d.credential,
				"clientData": base64.RawURLEncoding.EncodeToString(clientData),
				"signature":  base64.RawURLEncoding.EncodeToString(ed25519.Sign(d.key, clientData)),
			},
		},
	}), "", &action)
	if err != nil {
		return err
	}
	return d.call(ctx, http.MethodPost, path, body, action.UserAction, into)
}

// The provider said no.
type refusal struct {
	status int
	says   string
}

func (r *refusal) Error() string { return r.says }

func (d *dfns) call(ctx context.Context, method, path string, body []byte, userAction string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	request.Header.Set("User-Agent", "bare-worker-go")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if userAction != "" {
		request.Header.Set("X-DFNS-USERACTION", userAction)
	}
	response, err := d.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// To its end, so that the connection is kept.
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &refusal{response.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, response.Status, answer)}
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// JSON of what cannot fail to be JSON.
func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
