package store

import "ringmaster/store/ledger"

// Ledger writes down what calls and nodes leave behind, and what calls spend; see package ledger.
type Ledger = ledger.Ledger

// NewLedger starts the writers of a store. Close them before the store.
func (s *Store) NewLedger() *Ledger {
	return ledger.New(ledger.Config{Pool: s.pool, Engine: s.engine, Registry: s.metrics.registry, Log: s.log})
}

// Books reads what the ledger wrote; see package ledger.
func (s *Store) Books() *ledger.Books { return ledger.NewBooks(s.pool) }
