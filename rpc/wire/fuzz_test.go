package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzParseCall parses anything. A fault has to be one of this package's and to
// point into the body. What is accepted has to be XML to encoding/xml as well,
// within the limits, and the same after it was written and read again.
func FuzzParseCall(f *testing.F) {
	f.Add([]byte(query))
	for _, c := range clients() {
		f.Add([]byte(c.body))
	}
	for _, c := range values() {
		f.Add([]byte(call(c.value)))
	}
	for _, bad := range []string{
		"", "<", "</a>", "<a", "<a b='1' b='2'/>", "\xFF\xFE<\x00", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<?a b?><a/>",
		call("]]>"), call("&#xD800;"), call("<i4>99999999999</i4>"), call("<base64>A</base64>"), call(nest(40, "x")),
		`<?xml version="1.0" encoding="utf-7"?><a/>`, call("<!-- -- -->"), call("<struct>" + members(3) + members(1) + "</struct>"),
	} {
		f.Add([]byte(bad))
	}
	offset := regexp.MustCompile(` at byte ([0-9]+)$`)
	var d, again, response Document
	var w Writer
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		response.ParseResponse(body)
		err := d.ParseCall(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		var fault *Fault
		if errors.As(err, &fault) {
			switch fault.Code {
			case NotWellFormed, UnsupportedEncoding, InvalidCharacter, NotXMLRPC:
			default:
				t.Fatalf("code %d", fault.Code)
			}
			at := offset.FindStringSubmatch(fault.Message)
			if at == nil {
				t.Fatalf("no offset in %q", fault.Message)
			}
			if n, _ := strconv.Atoi(at[1]); n > len(body) {
				t.Fatalf("%q of %d bytes", fault.Message, len(body))
			}
			if d.NumParams() != 0 || len(d.Method()) != 0 {
				t.Fatal("something is left after a fault")
			}
			return
		}
		if err != nil {
			t.Fatalf("%T", err)
		}
		if response.NumParams() != 0 || response.Fault() != nil {
			t.Fatal("a call is a response as well")
		}
		if err := readXML(body); err != nil {
			t.Fatalf("accepted, but encoding/xml says: %v", err)
		}
		if len(d.nodes) > MaxTokens/2 || len(d.Method()) > MaxString {
			t.Fatalf("%d values, a method of %d bytes", len(d.nodes), len(d.Method()))
		}
		w.Reset()
		w.BeginCall(string(d.Method()))
		for i := range d.NumParams() {
			w.BeginParam()
			w.Value(d.Param(i))
			w.EndParam()
		}
		w.EndCall()
		if err := again.ParseCall(w.Buf); err != nil {
			if len(w.Buf) > MaxBody || strings.Contains(err.Error(), "tokens") || strings.Contains(err.Error(), "over the limit") {
				return // what was short for its client need not be as we write it
			}
			t.Fatalf("what was written is refused: %v: %q", err, w.Buf)
		}
		// A fraction of a second is not written.
		if got, want := dumpCall(&again), dumpCall(&d); got != want && !bytes.Contains(body, []byte("dateTime")) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

// readXML reads body with encoding/xml, which accepts more than XML.
func readXML(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, byteOrderMark)))
	d.CharsetReader = func(name string, r io.Reader) (io.Reader, error) {
		text, err := io.ReadAll(r)
		if charsetNamed([]byte(name)) == latin1Charset {
			text = appendLatin1(nil, text)
		}
		return bytes.NewReader(text), err
	}
	for {
		if _, err := d.Token(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// FuzzRoundTrip writes anything and reads it again: text that XML cannot carry
// comes back with U+FFFD in it.
func FuzzRoundTrip(f *testing.F) {
	f.Add("name", []byte("text"), int64(1), 1.5, true, int64(1e9))
	f.Add("", []byte{}, int64(math.MinInt64), math.SmallestNonzeroFloat64, false, int64(-62167219200))
	f.Add("<&>", []byte("]]>\r\n\t\x00\x1F\x7F\x80\xC0\xAF\xED\xA0\x80\uFFFE\U0010FFFF"), int64(math.MaxInt64), -math.MaxFloat64, true, int64(253402300799))
	f.Add("\xFF\xFF", []byte("&lt;&#0;<![CDATA["), int64(-1<<31), 1e21, true, int64(0))
	var d Document
	var w Writer
	f.Fuzz(func(t *testing.T, name string, text []byte, i int64, x float64, b bool, unix int64) {
		at := time.Unix(unix, 0).UTC()
		if math.IsNaN(x) || math.IsInf(x, 0) || at.Year() < 0 || at.Year() > 9999 {
			t.Skip("XML-RPC has no such value")
		}
		sent := func(s string) string { // what arrives of s
			return strings.Map(func(r rune) rune {
				if !isChar(r) {
					return '\uFFFD'
				}
				return r
			}, s)
		}
		if 3*len(text) > MaxString || 3*len(name) > MaxString {
			t.Skip("too long when every byte is replaced")
		}
		w.Reset()
		w.BeginResponse()
		w.BeginStruct()
		w.MemberStringBytes(name, text)
		w.BeginMember(name + ".list")
		w.BeginArray()
		w.Int(i)
		w.Double(x)
		w.Boolean(b)
		w.DateTime(at)
		w.Base64(text)
		w.String(name)
		w.Nil()
		w.EndArray()
		w.EndMember()
		w.EndStruct()
		w.EndResponse()
		if err := d.ParseResponse(w.Buf); err != nil {
			t.Fatalf("%v: %q", err, w.Buf)
		}
		want := object{
			{sent(name), sent(string(text))},
			{sent(name) + ".list", list{i, x, b, at, append([]byte{}, text...), sent(name), nil}},
		}
		equal(t, read(d.Param(0)), want, w.Buf)
	})
}
