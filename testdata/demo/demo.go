// Package demo embeds the demo carrier: the rows that `ringmaster dev` starts with and that the transcripts of
// testdata/calls run on. It is an example to copy from, not a part of any carrier's configuration.
package demo

import _ "embed"

// SQL is carrier.sql: INSERT statements for the operators' tables.
//
//go:embed carrier.sql
var SQL string
