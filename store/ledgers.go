package store

import (
	"ringmaster/store/books"
	"ringmaster/store/ledger"
)

// Ledger writes down what calls and nodes leave behind, and what calls spend; see package ledger.
type Ledger = ledger.Ledger

// NewLedger starts the writers of a store. Close them before the store.
func (s *Store) NewLedger() *Ledger {
	return ledger.New(ledger.Config{Pool: s.pool, Engine: s.engine, Registry: s.metrics.registry, Log: s.log})
}

// Books reads what the ledger wrote; see package books.
func (s *Store) Books() *books.Books { return books.New(s.pool) }
