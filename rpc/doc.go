// Package rpc serves Ringmaster's contract (rpc/api) to nodes: XML-RPC over HTTP, and number.translate as a form for
// dialplans.
//
// It binds a request by its description, asks logic what the call shall do, and renders the answer, inside the
// budget. It authenticates, limits, and counts. What it needs of the rest it declares as Source (the snapshot)
// and Ledger (what must be durable).
//
// It decides nothing about calls (that is logic), knows no SQL (store), and leaves the bytes of XML-RPC to rpc/wire.
// Which methods there are and what they take is rpc/contract; the registry adds to each how it is served, and the
// metrics' labels are made of it.
package rpc
