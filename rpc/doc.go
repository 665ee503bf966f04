// Package rpc serves Ringmaster's contract (rpc/api) to nodes: XML-RPC over HTTP, and number.translate as a form for
// dialplans.
//
// It binds a request to typed members, asks logic what the call shall do, and renders the answer, inside the
// budget. It authenticates, limits, and counts. What it needs of the rest it declares as Source (the snapshot)
// and Ledger (what must be durable).
//
// It decides nothing about calls (that is logic), knows no SQL (store), and leaves the bytes of XML-RPC to rpc/wire.
// Its registry of methods is the one place from which introspection, docs/API.md and the metrics' labels are made.
package rpc
