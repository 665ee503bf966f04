package rpc

import (
	"fmt"
	"slices"
	"strconv"

	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// method is one line of the registry: everything there is to know about a method of the contract.
type method struct {
	name       string
	summary    string     // one sentence, for the contents of a page
	help       string     // paragraphs, for system.methodHelp and docs/API.md
	signatures [][]string // [return, parameters…], in XML-RPC's words for types
	request    []member   // members of the one struct it takes; nil when it takes something else
	reply      []member   // members of the struct it returns; nil when it returns something else
	faults     []int      // fault codes of its own, besides those that every method has

	// serve binds the parameters, decides, and writes the result as one value to q.writer. It marks the end of
	// its phases but the last. On a fault, what it has written is thrown away.
	serve func(s *Server, q *query, p params) *wire.Fault
	// durable methods wait for the ledger, beyond the budget, and are capped apart from the others.
	durable bool
	// sheddable methods are the first to be refused when there are too many queries.
	sheddable bool
}

// member is a member of a struct in a request or a reply.
type member struct {
	name     string
	kinds    kinds
	required bool // request: it must be there; reply: it always is
	doc      string
}

// maxMembers is how many members a request struct has in the registry.
const maxMembers = 16

// kinds is a set of XML-RPC types.
type kinds uint16

func (set kinds) has(k wire.Kind) bool { return set&(1<<k) != 0 }

// String gives the types' words: "dateTime.iso8601 or string".
func (set kinds) String() string {
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

// registry lists the methods of the contract in the order of a reader.
func registry(validator bool) []*method {
	methods := slices.Concat(callMethods(), numberMethods(), accountMethods(), nodeMethods(), systemMethods())
	if validator {
		methods = append(methods, validatorMethods()...)
	}
	return methods
}

// structSignature is that of every method of the contract but system's.
func structSignature() [][]string { return [][]string{{"struct", "struct"}} }

// params are the parameters of a call: of a document, or of an element of a multicall.
type params struct {
	document *wire.Document
	array    wire.Value // when document is nil
}

func (p params) len() int {
	if p.document != nil {
		return p.document.NumParams()
	}
	return p.array.Len()
}

func (p params) at(i int) wire.Value {
	if p.document != nil {
		return p.document.Param(i)
	}
	return p.array.Index(i)
}

func invalid(format string, args ...any) *wire.Fault {
	return &wire.Fault{Code: api.FaultInvalidParameters, Message: fmt.Sprintf(format, args...)}
}

// takes checks that the parameters have exactly these types.
func (p params) takes(want ...wire.Kind) *wire.Fault {
	if p.len() != len(want) {
		return invalid("wrong number of parameters: %d; the method takes %d", p.len(), len(want))
	}
	for i, k := range want {
		if got := p.at(i).Kind(); got != k {
			return invalid("parameter %d: is %s, must be %s", i+1, got, k)
		}
	}
	return nil
}

// bind checks the one struct that a method takes against its members, and puts each into q.args at the member's
// index: the zero Value when it is absent. Members that the registry does not know are ignored: an agent may
// be newer than its engine.
func (q *query) bind(members []member, p params) *wire.Fault {
	if p.len() != 1 {
		return invalid("wrong number of parameters: %d; the method takes one struct", p.len())
	}
	return q.bindStruct(members, p.at(0))
}

// bindStruct is bind for a struct anywhere.
func (q *query) bindStruct(members []member, value wire.Value) *wire.Fault {
	if value.Kind() != wire.Struct {
		return invalid("is %s, must be struct", value.Kind())
	}
	clear(q.args[:len(members)])
	next := 0 // clients send members in the documented order, or alphabetically: where the last one was found is a good start
	for name, v := range value.Members() {
		for range members {
			i := next
			if next++; next == len(members) {
				next = 0
			}
			if string(name) == members[i].name {
				if !members[i].kinds.has(v.Kind()) {
					return invalid("member %s: is %s, must be %s", members[i].name, v.Kind(), members[i].kinds)
				}
				q.args[i] = v
				break
			}
		}
	}
	for i := range members {
		if members[i].required && q.args[i].Kind() == wire.Invalid {
			return invalid("member %s: is missing", members[i].name)
		}
	}
	return nil
}

// quoted shows a caller what it sent, cut to what fits a line.
func quoted(b []byte) string {
	const most = 48
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}
