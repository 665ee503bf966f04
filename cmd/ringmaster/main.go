// Command ringmaster is the engine and its tools: it serves the nodes' queries, runs a whole trial system, migrates the
// database, checks what operators wrote, and says where a call goes and why.
//
// Each command is one file here and does little more than join packages; what calls do is decided in package logic.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	_ "time/tzdata" // calendars must work where the system has no zone files

	"github.com/alecthomas/kong"
)

const description = `Ringmaster decides, over XML-RPC, what every call on every Asterisk node shall do.

Operators edit rows in Postgres; the next call obeys. To try it all on this machine, run "ringmaster dev".

Every flag can also be set as an environment variable: --end-timeout is RINGMASTER_END_TIMEOUT.`

// commands is the command line.
type commands struct {
	Serve        serveCommand        `cmd:"" help:"Answer the nodes' queries, from a Postgres that somebody looks after."`
	Dev          devCommand          `cmd:"" help:"Run a whole trial system: Postgres, a demo carrier, the engine."`
	Migrate      migrateCommand      `cmd:"" help:"Make or change the tables in Postgres."`
	Check        checkCommand        `cmd:"" help:"Say which rows cannot be used, and why."`
	Explain      explainCommand      `cmd:"" help:"Say where a call goes, and which rows decide it."`
	Replay       replayCommand       `cmd:"" help:"Say which recorded calls would go elsewhere under a draft, or at another time."`
	Import       importCommand       `cmd:"" help:"Read tables from CSV files, all or nothing."`
	Export       exportCommand       `cmd:"" help:"Write a table as CSV."`
	Call         callCommand         `cmd:"" help:"Make a simulated call from the terminal, or play a transcript."`
	Diff         diffCommand         `cmd:"" help:"Say what operators changed between two config revisions."`
	Rollback     rollbackCommand     `cmd:"" help:"Undo what operators changed since a config revision."`
	Wait         waitCommand         `cmd:"" help:"Wait until the newest edit is live in every engine."`
	Ledger       ledgerCommand       `cmd:"" help:"Read the books: balances, statements, what is held, and whether all adds up."`
	CDR          cdrCommand          `cmd:"" name:"cdr" help:"Read call detail records: export them for billing."`
	SQL          sqlCommand          `cmd:"" name:"sql" help:"Open psql on the database."`
	Load         loadCommand         `cmd:"" help:"Ask a running engine as fast, or as often, as told; print latencies."`
	MakeCarrier  makeCarrierCommand  `cmd:"" help:"Fill a database with a made-up carrier of any size."`
	APIReference apiReferenceCommand `cmd:"" name:"api-reference" help:"Print docs/API.md from the registry of methods."`
	Completion   completionCommand   `cmd:"" help:"Print a script that completes commands and flags in a shell."`

	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`
}

// exitError ends the program with a status of its own; whatever had to be said has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// terminal is where a command reads from and prints to.
type terminal struct {
	in  io.Reader
	out io.Writer // results
	err io.Writer // progress and logs
}

func main() {
	parser := newParser()
	arguments := os.Args[1:]
	if len(arguments) == 0 {
		arguments = []string{"--help"}
	}
	command, err := parser.Parse(arguments)
	if err != nil {
		fmt.Fprintf(os.Stderr, "ringmaster: %v\nTry: ringmaster %s--help\n", err, parsedSoFar(err))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run(terminal{os.Stdin, os.Stdout, os.Stderr})
	var status exitError
	switch {
	case err == nil:
	case errors.As(err, &status):
		os.Exit(int(status))
	default:
		fmt.Fprintln(os.Stderr, "ringmaster:", err)
		os.Exit(1)
	}
}

func newParser() *kong.Kong {
	return kong.Must(&commands{},
		kong.Name("ringmaster"),
		kong.Description(description),
		kong.DefaultEnvars("RINGMASTER"),
		kong.Vars{"version": "ringmaster " + version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)
}

// parsedSoFar names the command whose help is worth reading after a usage error.
func parsedSoFar(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		return parse.Context.Selected().Path() + " "
	}
	return ""
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, modified := "development", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision" && len(setting.Value) >= 12:
			revision = setting.Value[:12]
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "+changes"
		}
	}
	return revision + modified
}

// zones finds time zones for calendars.
func zones(name string) (*time.Location, error) { return time.LoadLocation(name) }
