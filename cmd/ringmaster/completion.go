package main

import (
	"github.com/alecthomas/kong"

	"ringmaster/cmd/ringmaster/completion"
)

// completionCommand prints a completion script.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help shows how to install the script.
func (*completionCommand) Help() string {
	return `For this shell only:

	source <(ringmaster completion bash)

For good:

	ringmaster completion bash > /etc/bash_completion.d/ringmaster
	ringmaster completion zsh > "${fpath[1]}/_ringmaster"
	ringmaster completion fish > ~/.config/fish/completions/ringmaster.fish`
}

// Run prints the script.
func (c *completionCommand) Run(t terminal, app *kong.Kong) error {
	completion.Write(t.out, c.Shell, app.Model.Node)
	return nil
}
