package wire

import (
	"iter"
	"math"
	"time"
)

// Kind is the type of a value.
type Kind uint8

// The kinds. Invalid is the kind of the zero Value only.
const (
	Invalid  Kind = iota
	Int           // int, i4, i8 and ex:i8
	Boolean       // boolean
	String        // string, or no type element at all
	Double        // double
	DateTime      // dateTime.iso8601
	Base64        // base64
	Struct        // struct
	Array         // array
	Nil           // nil and ex:nil
)

// String gives the kind's word in XML-RPC: "int", "dateTime.iso8601" and so on.
func (k Kind) String() string {
	switch k {
	case Int:
		return "int"
	case Boolean:
		return "boolean"
	case String:
		return "string"
	case Double:
		return "double"
	case DateTime:
		return "dateTime.iso8601"
	case Base64:
		return "base64"
	case Struct:
		return "struct"
	case Array:
		return "array"
	case Nil:
		return "nil"
	}
	return "invalid"
}

// Value is one value of a [Document], and valid as long as that.
//
// Kind says which of the other methods apply. The rest give zero (nil, false,
// no members) on a value of another kind, and so does the zero Value, which is
// what Param, Member and Index give where there is none: a caller asks for the
// Kind once and needs no other check.
type Value struct {
	document *Document
	index    int32
}

// Kind gives the value's type, and Invalid for the zero Value.
func (v Value) Kind() Kind {
	if v.document == nil {
		return Invalid
	}
	return v.document.nodes[v.index].kind
}

// of gives the value's node if it has that kind.
func (v Value) of(k Kind) (*node, bool) {
	if v.document == nil {
		return nil, false
	}
	n := &v.document.nodes[v.index]
	return n, n.kind == k
}

// Bytes gives a string's content as UTF-8. It is not a copy: it is valid as
// long as the document, and not to be changed.
func (v Value) Bytes() []byte {
	if n, ok := v.of(String); ok {
		return v.document.bytes(n.text)
	}
	return nil
}

// Text gives a string's content as a copy.
func (v Value) Text() string { return string(v.Bytes()) }

// Int gives an integer.
func (v Value) Int() int64 {
	if n, ok := v.of(Int); ok {
		return int64(n.num)
	}
	return 0
}

// Bool gives a boolean.
func (v Value) Bool() bool {
	n, ok := v.of(Boolean)
	return ok && n.num == 1
}

// Double gives a double, which is always finite.
func (v Value) Double() float64 {
	if n, ok := v.of(Double); ok {
		return math.Float64frombits(n.num)
	}
	return 0
}

// Time gives a date as UTC. A date without a zone is taken as UTC.
func (v Value) Time() time.Time {
	if n, ok := v.of(DateTime); ok {
		t, _ := parseDateTime(v.document.bytes(n.text))
		return t
	}
	return time.Time{}
}

// Base64 gives the bytes that base64 stood for. They are not a copy: they are
// valid as long as the document, and not to be changed.
func (v Value) Base64() []byte {
	if n, ok := v.of(Base64); ok {
		return v.document.bytes(n.text)
	}
	return nil
}

// AppendBase64 appends the bytes that base64 stood for to dst.
func (v Value) AppendBase64(dst []byte) []byte { return append(dst, v.Base64()...) }

// Len gives the number of members of a struct or of elements of an array.
func (v Value) Len() int {
	if n, ok := v.of(Struct); ok || n != nil && n.kind == Array {
		return int(n.num)
	}
	return 0
}

// Member gives the member of a struct that has that name. It compares the
// names one by one.
func (v Value) Member(name string) (Value, bool) {
	for got, member := range v.Members() {
		if string(got) == name {
			return member, true
		}
	}
	return Value{}, false
}

// Members gives the names and values of a struct in the document's order. No
// name comes twice.
func (v Value) Members() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		n, ok := v.of(Struct)
		if !ok {
			return
		}
		d := v.document
		for i := v.index + 1; i < n.next; i = d.nodes[i].next {
			if !yield(d.bytes(d.nodes[i].name), Value{d, i}) {
				return
			}
		}
	}
}

// Elements gives the elements of an array in order.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		n, ok := v.of(Array)
		if !ok {
			return
		}
		for i := v.index + 1; i < n.next; i = v.document.nodes[i].next {
			if !yield(Value{v.document, i}) {
				return
			}
		}
	}
}

// Index gives element i of an array, counted from 0, or the zero Value when
// there is none. It walks the elements: Elements is the way to see them all.
func (v Value) Index(i int) Value {
	if i < 0 || i >= v.Len() {
		return Value{}
	}
	for element := range v.Elements() {
		if i == 0 {
			return element
		}
		i--
	}
	return Value{}
}
