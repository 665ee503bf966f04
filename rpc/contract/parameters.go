package contract

import (
	"fmt"
	"strconv"

	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// Parameters are the parameters of a call: of a document, or of an element of a multicall.
type Parameters struct {
	Document *wire.Document
	Array    wire.Value // when Document is nil
}

// Len gives the number of parameters.
func (p Parameters) Len() int {
	if p.Document != nil {
		return p.Document.NumParams()
	}
	return p.Array.Len()
}

// At gives parameter i, counted from 0, or the zero Value when there is none.
func (p Parameters) At(i int) wire.Value {
	if p.Document != nil {
		return p.Document.Param(i)
	}
	return p.Array.Index(i)
}

// Takes checks that the parameters have exactly these types. Else it gives fault −32602.
func (p Parameters) Takes(want ...wire.Kind) *wire.Fault {
	if p.Len() != len(want) {
		return Invalid("wrong number of parameters: %d; the method takes %d", p.Len(), len(want))
	}
	for i, k := range want {
		if got := p.At(i).Kind(); got != k {
			return Invalid("parameter %d: is %s, must be %s", i+1, got, k)
		}
	}
	return nil
}

// maxMembers is how many members a struct has that is bound.
const maxMembers = 16

// Values are the members of one struct, each at its index (StartCallID and so on): the zero Value when it is
// absent. They are the caller's, so that binding allocates nothing.
type Values [maxMembers]wire.Value

// Bind checks the one struct that the method takes against its members, and puts each into values at the member's
// index. Members that the method does not know are ignored: an agent may be newer than its engine. On fault −32602,
// which names the member, the values are of no use.
func (m *Method) Bind(p Parameters, values *Values) *wire.Fault {
	if p.Len() != 1 {
		return Invalid("wrong number of parameters: %d; the method takes one struct", p.Len())
	}
	return bindStruct(m.Request, p.At(0), values)
}

// BindResult is Bind for an element of results, which is inside call.report and call.end.
func BindResult(element wire.Value, values *Values) *wire.Fault {
	return bindStruct(resultMembers, element, values)
}

func bindStruct(members []Member, value wire.Value, values *Values) *wire.Fault {
	if value.Kind() != wire.Struct {
		return Invalid("is %s, must be struct", value.Kind())
	}
	clear(values[:len(members)])
	next := 0 // clients send members in the documented order, or alphabetically: where the last one was found is a good start
	for name, v := range value.Members() {
		for range members {
			i := next
			if next++; next == len(members) {
				next = 0
			}
			if string(name) == members[i].Name {
				if !members[i].Kinds.has(v.Kind()) {
					return Invalid("member %s: is %s, must be %s", members[i].Name, v.Kind(), members[i].Kinds)
				}
				values[i] = v
				break
			}
		}
	}
	for i := range members {
		if members[i].Required && values[i].Kind() == wire.Invalid {
			return Invalid("member %s: is missing", members[i].Name)
		}
	}
	return nil
}

// Invalid makes fault −32602: what a client has sent is not what the contract says. The message names the member.
func Invalid(format string, args ...any) *wire.Fault {
	return &wire.Fault{Code: api.FaultInvalidParameters, Message: fmt.Sprintf(format, args...)}
}

// Quoted shows a caller what it sent, in ASCII and cut to what fits a line.
func Quoted(b []byte) string {
	const most = 48
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}
