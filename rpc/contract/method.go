package contract

import (
	"fmt"
	"slices"
	"strings"

	"ringmaster/rpc/wire"
)

// Method is everything that a client may know about a method.
type Method struct {
	Name       string
	Summary    string     // one sentence, for the contents of a page
	Help       string     // paragraphs, for system.methodHelp and docs/API.md
	Signatures [][]string // [return, parameters…], in XML-RPC's words for types
	Request    []Member   // members of the one struct it takes; nil when it takes something else
	Reply      []Member   // members of the struct it returns; nil when it returns something else
	Faults     []int      // fault codes of its own, besides those that every method has
}

// Member is a member of a struct in a request, a reply, or something inside them.
type Member struct {
	Name     string
	Kinds    Kinds
	Required bool // request: it must be there; reply: it always is
	Doc      string
}

// Kinds is a set of XML-RPC types.
type Kinds uint16

// The types of members.
const (
	textKind    = Kinds(1) << wire.String
	intKind     = Kinds(1) << wire.Int
	booleanKind = Kinds(1) << wire.Boolean
	arrayKind   = Kinds(1) << wire.Array
	timeKinds   = Kinds(1)<<wire.DateTime | textKind
	secondKinds = Kinds(1)<<wire.Double | intKind
)

func (set Kinds) has(k wire.Kind) bool { return set&(1<<k) != 0 }

// String gives the types' words: "string or dateTime.iso8601".
func (set Kinds) String() string {
	var words string
	for k := wire.Int; k <= wire.Nil; k++ {
		if set.has(k) {
			if words != "" {
				words += " or "
			}
			words += k.String()
		}
	}
	return words
}

// Methods lists the methods in the order of a reader, validator1's only when they are asked for.
func Methods(validator bool) []*Method {
	methods := slices.Concat(callMethods(), numberMethods(), accountMethods(), nodeMethods(), systemMethods())
	if validator {
		methods = append(methods, validatorMethods()...)
	}
	return methods
}

// structSignature is that of every method of the contract but system's.
func structSignature() [][]string { return [][]string{{"struct", "struct"}} }

// HelpText is what system.methodHelp says.
func (m *Method) HelpText() string {
	var b strings.Builder
	b.WriteString(m.Summary + "\n\n" + m.Help + "\n")
	part := func(title string, list []Member) {
		if len(list) == 0 {
			return
		}
		b.WriteString("\n" + title + "\n")
		for _, m := range list {
			fmt.Fprintf(&b, "  %s (%s%s): %s\n", m.Name, m.Kinds, optional(m), m.Doc)
		}
	}
	part("Members it takes:", m.Request)
	part("Members it returns:", m.Reply)
	return b.String()
}

func optional(m Member) string {
	if m.Required {
		return ""
	}
	return ", optional"
}
