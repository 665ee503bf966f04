package main

import "ringmaster/rpc"

// apiReferenceCommand prints docs/API.md; a test keeps the file as this prints it.
type apiReferenceCommand struct{}

// Run prints it.
func (*apiReferenceCommand) Run(t terminal) error { return rpc.WriteReference(t.out) }
