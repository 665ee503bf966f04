package rpc

import (
	"testing"

	"ringmaster/logic"
	"ringmaster/rpc/contract"
)

// What the contract has is served, and what is served is in the contract.
func TestRegistryIsWhole(t *testing.T) {
	methods := registry(true)
	for _, m := range methods {
		if m.serve == nil {
			t.Errorf("%s: nothing says how it is served", m.Name)
		}
	}
	if len(methods) != len(served) {
		t.Errorf("%d methods are served, the contract has %d", len(served), len(methods))
	}
}

// A number that a node may say is one that logic takes.
func TestNumbersAreTheCores(t *testing.T) {
	if contract.MaxNumber != logic.MaxNumberLength {
		t.Errorf("the contract's numbers have %d digits, logic's %d", contract.MaxNumber, logic.MaxNumberLength)
	}
}
