package wire

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Writer appends XML-RPC to Buf. The zero Writer is ready for use; Buf is the
// caller's to take, to cut back to an earlier length, and to reuse.
//
// The output is UTF-8 without white space between tags. Strings are always
// typed and are plain escaped text. A character that XML 1.0 cannot carry, and
// a byte that is not UTF-8, is written as U+FFFD. Integers are i4 where they
// fit 32 bits and i8 otherwise; not all clients know i8 or nil.
//
// The Writer does not check the nesting: whoever begins something ends it, a
// parameter, a response and a member have one value, and only members stand
// in a struct.
type Writer struct {
	Buf []byte
}

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Reset empties Buf and keeps its memory.
func (w *Writer) Reset() { w.Buf = w.Buf[:0] }

func (w *Writer) raw(s string) { w.Buf = append(w.Buf, s...) }

// BeginCall begins a methodCall; its parameters come next.
func (w *Writer) BeginCall(method string) {
	w.raw(declaration + "<methodCall><methodName>")
	w.Buf = appendText(w.Buf, method)
	w.raw("</methodName><params>")
}

// EndCall ends a methodCall.
func (w *Writer) EndCall() { w.raw("</params></methodCall>") }

// BeginParam begins a parameter of a methodCall.
func (w *Writer) BeginParam() { w.raw("<param>") }

// EndParam ends a parameter.
func (w *Writer) EndParam() { w.raw("</param>") }

// BeginResponse begins a methodResponse; its one value comes next.
func (w *Writer) BeginResponse() { w.raw(declaration + "<methodResponse><params><param>") }

// EndResponse ends a methodResponse.
func (w *Writer) EndResponse() { w.raw("</param></params></methodResponse>") }

// Fault writes a whole methodResponse that is a fault.
func (w *Writer) Fault(code int, message string) {
	w.raw(declaration + "<methodResponse><fault>")
	w.FaultValue(code, message)
	w.raw("</fault></methodResponse>")
}

// FaultValue writes the struct of a fault as a value, as system.multicall gives
// it among its results.
func (w *Writer) FaultValue(code int, message string) {
	w.BeginStruct()
	w.MemberInt("faultCode", int64(code))
	w.MemberString("faultString", message)
	w.EndStruct()
}

// BeginStruct begins a struct; its members come next.
func (w *Writer) BeginStruct() { w.raw("<value><struct>") }

// EndStruct ends a struct.
func (w *Writer) EndStruct() { w.raw("</struct></value>") }

// BeginMember begins a member of a struct; its one value comes next.
func (w *Writer) BeginMember(name string) {
	w.raw("<member><name>")
	w.Buf = appendText(w.Buf, name)
	w.raw("</name>")
}

// EndMember ends a member.
func (w *Writer) EndMember() { w.raw("</member>") }

// BeginArray begins an array; its values come next.
func (w *Writer) BeginArray() { w.raw("<value><array><data>") }

// EndArray ends an array.
func (w *Writer) EndArray() { w.raw("</data></array></value>") }

// String writes a string.
func (w *Writer) String(s string) {
	w.raw("<value><string>")
	w.Buf = appendText(w.Buf, s)
	w.raw("</string></value>")
}

// StringBytes writes a string.
func (w *Writer) StringBytes(b []byte) {
	w.raw("<value><string>")
	w.Buf = appendText(w.Buf, b)
	w.raw("</string></value>")
}

// Int writes an integer.
func (w *Writer) Int(i int64) {
	if i == int64(int32(i)) {
		w.raw("<value><i4>")
		w.Buf = strconv.AppendInt(w.Buf, i, 10)
		w.raw("</i4></value>")
		return
	}
	w.raw("<value><i8>")
	w.Buf = strconv.AppendInt(w.Buf, i, 10)
	w.raw("</i8></value>")
}

// Boolean writes a boolean.
func (w *Writer) Boolean(b bool) {
	if b {
		w.raw("<value><boolean>1</boolean></value>")
	} else {
		w.raw("<value><boolean>0</boolean></value>")
	}
}

// Double writes a double, without an exponent. It panics on infinities and NaN,
// for which XML-RPC has no form.
func (w *Writer) Double(f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		panic(fmt.Sprintf("wire: XML-RPC has no double %v", f))
	}
	w.raw("<value><double>")
	w.Buf = strconv.AppendFloat(w.Buf, f, 'f', -1, 64)
	w.raw("</double></value>")
}

// DateTime writes a date as UTC, to the second. It panics on a year before 0
// or after 9999, for which XML-RPC has no form.
func (w *Writer) DateTime(t time.Time) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		panic(fmt.Sprintf("wire: XML-RPC has no year %d", y))
	}
	w.raw("<value><dateTime.iso8601>")
	w.Buf = t.AppendFormat(w.Buf, "20060102T15:04:05")
	w.raw("</dateTime.iso8601></value>")
}

// Base64 writes bytes as base64.
func (w *Writer) Base64(b []byte) {
	w.raw("<value><base64>")
	w.Buf = base64.StdEncoding.AppendEncode(w.Buf, b)
	w.raw("</base64></value>")
}

// Nil writes a nil.
func (w *Writer) Nil() { w.raw("<value><nil/></value>") }

// Value writes a value of a document again, and nothing for the zero Value. A
// fraction of a second is lost.
func (w *Writer) Value(v Value) {
	switch v.Kind() {
	case Int:
		w.Int(v.Int())
	case Boolean:
		w.Boolean(v.Bool())
	case String:
		w.StringBytes(v.Bytes())
	case Double:
		w.Double(v.Double())
	case DateTime:
		w.DateTime(v.Time())
	case Base64:
		w.Base64(v.Base64())
	case Struct:
		w.BeginStruct()
		for name, member := range v.Members() {
			w.raw("<member><name>")
			w.Buf = appendText(w.Buf, name)
			w.raw("</name>")
			w.Value(member)
			w.EndMember()
		}
		w.EndStruct()
	case Array:
		w.BeginArray()
		for element := range v.Elements() {
			w.Value(element)
		}
		w.EndArray()
	case Nil:
		w.Nil()
	}
}

// MemberString writes a member that is a string.
func (w *Writer) MemberString(name, s string) {
	w.BeginMember(name)
	w.String(s)
	w.EndMember()
}

// MemberStringBytes writes a member that is a string.
func (w *Writer) MemberStringBytes(name string, b []byte) {
	w.BeginMember(name)
	w.StringBytes(b)
	w.EndMember()
}

// MemberInt writes a member that is an integer.
func (w *Writer) MemberInt(name string, i int64) {
	w.BeginMember(name)
	w.Int(i)
	w.EndMember()
}

// MemberBoolean writes a member that is a boolean.
func (w *Writer) MemberBoolean(name string, b bool) {
	w.BeginMember(name)
	w.Boolean(b)
	w.EndMember()
}

// MemberDouble writes a member that is a double, as Double does.
func (w *Writer) MemberDouble(name string, f float64) {
	w.BeginMember(name)
	w.Double(f)
	w.EndMember()
}

// MemberDateTime writes a member that is a date, as DateTime does.
func (w *Writer) MemberDateTime(name string, t time.Time) {
	w.BeginMember(name)
	w.DateTime(t)
	w.EndMember()
}

// MemberBase64 writes a member that is base64.
func (w *Writer) MemberBase64(name string, b []byte) {
	w.BeginMember(name)
	w.Base64(b)
	w.EndMember()
}

// verbatim marks the bytes of text that are written as they are.
var verbatim = func() (t [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		t[c] = true
	}
	t['\t'], t['\n'] = true, true
	t['<'], t['&'], t['>'] = false, false, false
	return t
}()

// appendText appends text to dst as character data.
func appendText[T string | []byte](dst []byte, text T) []byte {
	from := 0
	for i := 0; i < len(text); {
		if verbatim[text[i]] {
			i++
			continue
		}
		dst = append(dst, text[from:i]...)
		n := 1
		switch c := text[i]; {
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c == '\r':
			dst = append(dst, "&#13;"...) // or a parser makes it a line feed
		case c < utf8.RuneSelf:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			var r rune
			if r, n = decodeRune(text[i:]); !isChar(r) {
				r = utf8.RuneError
			}
			dst = utf8.AppendRune(dst, r)
		}
		i += n
		from = i
	}
	return append(dst, text[from:]...)
}

func decodeRune[T string | []byte](text T) (rune, int) {
	var head [utf8.UTFMax]byte
	return utf8.DecodeRune(head[:copy(head[:], text)])
}
