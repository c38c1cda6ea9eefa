// The keys of payouts, against the vectors that every language shares; and what makes two requests differ.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEveryPublishedVectorDerivesItsKeyOrIsRefused(t *testing.T) {
	text, err := os.ReadFile("../../../domain/vectors/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		ID     string  `json:"id"`
		Repeat int     `json:"repeat"`
		Key    *string `json:"key"`
		Why    string  `json:"why"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, vector := range vectors {
		key, err := PayoutKey(strings.Repeat(vector.ID, max(vector.Repeat, 1)))
		if vector.Key == nil && err == nil {
			t.Errorf("%s: has the key %s", vector.Why, key)
		}
		if vector.Key != nil && (err != nil || key != *vector.Key) {
			t.Errorf("%s: %q, %v; expected %q", vector.Why, key, err, *vector.Key)
		}
	}
}

func TestWhatIsNoWholeTextHasNoKey(t *testing.T) {
	if key, err := PayoutKey("a\xff"); err == nil {
		t.Error(key)
	}
}

func TestRequestsDifferByFactsNotBySpelling(t *testing.T) {
	one := `{"asset": {"kind": "Erc20", "contract": "0xaB"}, "amount": "1", "program": null}`
	for other, expected := range map[string][]string{
		`{"amount": "1", "asset": {"contract": "0xAb", "kind": "Erc20"}}`:                          {},
		`{"asset": {"kind": "Erc20", "contract": "0xaB"}, "amount": "2", "program": "payroll"}`:    {"amount", "program"},
		`{"asset": {"kind": "Spl", "contract": "0xaB"}, "amount": 100000000000000000000000000001}`: {"amount", "asset"},
	} {
		differs, err := Differences(json.RawMessage(one), json.RawMessage(other))
		if err != nil || !reflect.DeepEqual(differs, expected) {
			t.Errorf("%s: %v, %v", other, differs, err)
		}
	}
}
