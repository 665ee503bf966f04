// Package migrations holds the SQL that makes and changes Ringmaster's database, embedded into the binary.
//
// The files are applied once each, in the order of their numbers, each in a transaction of its own, and are never changed after a
// release: what has to be different goes into a new file. Package store runs them.
package migrations

import "embed"

// Files holds 0001_name.sql and its successors.
//
//go:embed *.sql
var Files embed.FS
