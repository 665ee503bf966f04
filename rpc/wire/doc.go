// Package wire turns XML-RPC bytes into values and values into XML-RPC bytes.
//
// A [Document] parses one methodCall or methodResponse in one pass over the
// body, and a [Value] is a cursor into it; nothing is copied but text that XML
// escapes. A [Writer] appends a call, a response or a fault to a byte slice.
// Both are reused from message to message and then allocate nothing.
//
// The parser is strict: what is not well-formed XML 1.0 (fifth edition), or is
// well-formed and not XML-RPC (http://xmlrpc.com/spec.md), or is over one of
// the Max constants, is refused with a [*Fault] that says what and where. When
// a body is not well-formed and not XML-RPC, the former is reported. Document
// type declarations, processing instructions and attributes are refused; there
// are no entities but the five of XML, so nothing expands. An XML declaration,
// where there is one, says version 1.0.
//
// Beyond the specification the parser takes what clients in the field send:
// i8 and nil, plain or with Apache's prefix ex: (and its namespace declaration
// on the root element), doubles with an exponent, dates with hyphens, a
// fraction of a second or a zone, and the encodings UTF-8, US-ASCII and
// ISO-8859-1.
//
// The package knows nothing of HTTP and nothing of telephony.
package wire
