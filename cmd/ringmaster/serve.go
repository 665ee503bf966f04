package main

import (
	"context"
	"errors"
	"fmt"
)

// serveCommand is the engine as a carrier runs it.
type serveCommand struct {
	Database  string `placeholder:"ADDRESS" help:"Postgres, as postgres://user@host/database or key=value text. Required."`
	Validator bool   `help:"Serve validator1.* too, to check XML-RPC clients against."`
	engineFlags
}

// Help explains.
func (*serveCommand) Help() string {
	return `Any number of engines run side by side on one Postgres; none keeps anything that would be lost with it. It starts while Postgres is
away and refuses calls until it has loaded the configuration once, or takes the one of --snapshot-file; from then on calls without money need
Postgres no more.

	export RINGMASTER_DATABASE=postgres://ringmaster@db/ringmaster
	ringmaster migrate
	ringmaster serve
	ringmaster serve --listen 10.0.0.5:8443 --certificate engine.pem --key engine.key --client-ca nodes.pem

SIGTERM and Ctrl-C finish the queries under way (10 s at most); a second one ends at once. In a container set GOMEMLIMIT to nine tenths of
its memory.`
}

// Run serves until a signal.
func (c *serveCommand) Run(ctx context.Context, t terminal) error {
	if c.Database == "" {
		return errors.New("which database? Give --database or RINGMASTER_DATABASE; to try Ringmaster without one, run \"ringmaster dev\"")
	}
	return serveEngine(ctx, c.logger(t), c.Database, &c.engineFlags, c.Validator, func(r running) {
		fmt.Fprintf(t.out, "calls  %s\npage   %s\n", r.call, r.admin)
	})
}
