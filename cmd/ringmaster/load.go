package main

import (
	"context"
	"errors"
	"fmt"

	"ringmaster/cmd/ringmaster/load"
)

// loadCommand runs the load generator of package load, by default against the trial system.
type loadCommand struct {
	load.Command `embed:""`
	StateDir     string `placeholder:"FOLDER" help:"Folder of the ringmaster dev to ask, where --url isn't given."`
}

// Help explains.
func (*loadCommand) Help() string {
	return `Each query is a call.start with a call id of its own; the calls are never heard of again. Without --rate each connection asks again
as soon as it has an answer (closed loop): it shows how much the engine can do. With --rate queries are sent on time however slow the answers are
(open loop), and latencies are counted from the instant at which a query should have been sent, so that an engine that stalls cannot hide it by keeping
the generator waiting (coordinated omission): it shows how long callers wait.

	ringmaster load
	ringmaster load --rate 2000 --duration 1m
	ringmaster load --url http://127.0.0.1:4570/RPC2 --node bench --called 498000000000-498000009999 --json

Ends with status 1 when a query got no answer, a fault, or an HTTP status other than 200.`
}

// Run asks until the time or the count is over.
func (c *loadCommand) Run(ctx context.Context, t terminal) error {
	if c.URL == "" || c.Node == "" || c.Secret == "" {
		found, err := findTrial(c.StateDir)
		if err != nil {
			return fmt.Errorf("which engine? %w; start one with \"ringmaster dev\", or give --url, --node and --secret", err)
		}
		c.URL, c.Node, c.Secret = orText(c.URL, found.URL), orText(c.Node, found.Node), orText(c.Secret, found.Secret)
	}
	err := c.Command.Run(ctx, t.out, t.err)
	if errors.Is(err, load.ErrBad) {
		return exitError(1)
	}
	return err
}
