package wire

import "fmt"

// Codes of the faults that this package gives itself, from the "Specification
// for Fault Code Interoperability, version 20010516".
const (
	NotWellFormed       = -32700 // not well-formed XML
	UnsupportedEncoding = -32701 // an encoding other than UTF-8, US-ASCII or ISO-8859-1
	InvalidCharacter    = -32702 // not a character of XML, or of the encoding
	NotXMLRPC           = -32600 // well-formed, but not XML-RPC or over a limit
)

// Fault is an XML-RPC fault: the error of a parse, or the fault that a
// methodResponse carries.
type Fault struct {
	Code    int
	Message string // what is wrong and, from a parse, at which byte of the body
}

// Error gives the code and the message.
func (f *Fault) Error() string {
	return fmt.Sprintf("XML-RPC fault %d: %s", f.Code, f.Message)
}
