package pace_test

import (
	"testing"
	"time"

	"ringmaster/store/ledger/pace"
)

// TestPace: transactions that take too long are shared by fewer, quick ones by more, within bounds.
func TestPace(t *testing.T) {
	var p pace.Pace
	for range 50 {
		p.Took(p.Most(256), 256, 2*pace.Aim)
	}
	if p.Most(256) != pace.Least {
		t.Errorf("%d share a slow transaction, want %d", p.Most(256), pace.Least)
	}
	p.Took(1, 256, time.Millisecond)
	if p.Most(256) != pace.Least {
		t.Error("a transaction that few wanted says nothing of how many may share it")
	}
	for range 100 {
		p.Took(p.Most(256), 256, time.Millisecond)
	}
	if p.Most(256) != 256 || p.Expected() > 2*time.Millisecond {
		t.Errorf("%d share a quick transaction, that should take %v", p.Most(256), p.Expected())
	}
	var secrets pace.Pace
	for range 50 {
		secrets.Took(secrets.Most(16), 16, 2*pace.Aim)
	}
	if secrets.Most(16) != 16/4 {
		t.Errorf("%d slow PINs share a transaction, want %d", secrets.Most(16), 16/4)
	}
}
