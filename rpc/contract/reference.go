package contract

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// referenceText is docs/API.md but for what the methods and the limits say.
//
//go:embed reference.md
var referenceText string

// Defaults are what an engine does unless it is told otherwise. The server has them; the reference tells them.
type Defaults struct {
	Budget          time.Duration // request read to reply written
	EndTimeout      time.Duration // how long a durable method may wait for the ledger
	SessionLifetime time.Duration // of a session token, told in whole hours
	RecentAnswers   int           // how many answers are remembered
}

// WriteReference writes docs/API.md: the contract for those who call it. What it says of methods, faults and limits is
// made of the description and the constants, so that it cannot say anything else than the server does. It fails when w does.
func WriteReference(w io.Writer, defaults Defaults) error {
	var methods, instructions, results, charges, faults strings.Builder
	group := ""
	for _, m := range Methods(true) {
		if g, _, _ := strings.Cut(m.Name, "."); g != group {
			group = g
			methods.WriteString("\n" + groupIntroduction(group))
		}
		writeMethod(&methods, m)
	}
	for _, in := range instructionDocs {
		fmt.Fprintf(&instructions, "\n**`%s`**: %s\n", in.op, in.meaning)
		writeMembers(&instructions, in.members, "always")
	}
	writeMembers(&results, resultMembers, "required")
	writeMembers(&charges, chargeMembers, "always")
	faults.WriteString("\n| code | meaning | what to do |\n|---|---|---|\n")
	for _, f := range faultDocs {
		fmt.Fprintf(&faults, "| %d | %s | %s |\n", f.code, f.meaning, f.advice)
	}
	page, err := template.New("reference.md").Option("missingkey=error").Parse(referenceText)
	if err != nil {
		return fmt.Errorf("couldn't parse the API reference: %w", err)
	}
	if err := page.Execute(w, map[string]any{
		"Methods": strings.TrimSpace(methods.String()) + "\n", "Instructions": instructions.String(), "Results": results.String(), "Charges": charges.String(), "Faults": faults.String(),
		"Path": api.PathRPC, "Alias": api.PathRPCAlias, "Translate": api.PathDialplanTranslate,
		"Budget": defaults.Budget, "EndTimeout": defaults.EndTimeout, "SessionHours": int(defaults.SessionLifetime.Hours()),
		"MaxBody": wire.MaxBody, "MaxDepth": wire.MaxDepth, "MaxTokens": wire.MaxTokens, "MaxMembers": wire.MaxMembers, "MaxString": wire.MaxString,
		"MaxMulticall": MaxMulticall, "MaxResults": MaxResults, "RecentAnswers": defaults.RecentAnswers,
	}); err != nil {
		return fmt.Errorf("couldn't write the API reference: %w", err)
	}
	return nil
}

func groupIntroduction(group string) string {
	switch group {
	case "call":
		return "## Methods for calls\n"
	case "number":
		return "## Translation without a call\n"
	case "account":
		return "## Accounts\n"
	case "node":
		return "## Methods for nodes\n"
	case "system":
		return "## Introspection and multicall\n"
	}
	return "## The validator suite\n\nServed with `--validator` only: UserLand's tests, by which any XML-RPC client can be checked against the server.\n"
}

func writeMethod(b *strings.Builder, m *Method) {
	if strings.HasPrefix(m.Name, "validator1.") {
		s := m.Signatures[0]
		fmt.Fprintf(b, "\n* `%s(%s)` → %s. %s", m.Name, strings.Join(s[1:], ", "), s[0], m.Summary)
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n%s\n\n%s\n", m.Name, m.Summary, m.Help)
	for _, s := range m.Signatures {
		fmt.Fprintf(b, "\nSignature: `%s(%s)` → %s\n", m.Name, strings.Join(s[1:], ", "), s[0])
	}
	if len(m.Request) > 0 {
		b.WriteString("\nTakes:\n")
		writeMembers(b, m.Request, "required")
	}
	if len(m.Reply) > 0 {
		b.WriteString("\nReturns:\n")
		writeMembers(b, m.Reply, "always")
	}
	if len(m.Faults) > 0 {
		b.WriteString("\nFaults of its own:")
		for i, code := range m.Faults {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(b, " %d", code)
		}
		b.WriteString("\n")
	}
}

func writeMembers(b *strings.Builder, list []Member, needed string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| member | type | %s | meaning |\n|---|---|---|---|\n", needed)
	for _, m := range list {
		yes := "yes"
		if !m.Required {
			yes = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kinds, yes, m.Doc)
	}
}
