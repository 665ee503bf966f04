// Package migrations holds the SQL that makes and changes Ringmaster's database, embedded into the binary.
//
// The files are applied once each, in the order of their numbers, each in a transaction of its own, and are never changed after a
// release: what has to be different goes into a new file. Package store runs them.
package migrations

import (
	"embed"
	"strings"
)

// Files holds 0001_name.sql and its successors.
//
//go:embed *.sql
var Files embed.FS

// Scripts is the SQL of the scripts that ship with Ringmaster: plain INSERT … VALUES statements.
func Scripts() (string, error) {
	var all strings.Builder
	for _, name := range []string{"0002_scripts.sql", "0017_money_scripts.sql"} {
		text, err := Files.ReadFile(name)
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}
