package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The values of the properties are int64, bool, string, float64, time.Time,
// []byte, object, list and nil.
type (
	member struct {
		name  string
		value any
	}
	object []member
	list   []any
)

// write writes a value with the Writer.
func write(w *Writer, value any) {
	switch v := value.(type) {
	case int64:
		w.Int(v)
	case bool:
		w.Boolean(v)
	case string:
		w.String(v)
	case float64:
		w.Double(v)
	case time.Time:
		w.DateTime(v)
	case []byte:
		w.Base64(v)
	case object:
		w.BeginStruct()
		for _, m := range v {
			w.BeginMember(m.name)
			write(w, m.value)
			w.EndMember()
		}
		w.EndStruct()
	case list:
		w.BeginArray()
		for _, element := range v {
			write(w, element)
		}
		w.EndArray()
	case nil:
		w.Nil()
	default:
		panic(fmt.Sprintf("%T", v))
	}
}

// read makes a value of what was parsed.
func read(v Value) any {
	switch v.Kind() {
	case Int:
		return v.Int()
	case Boolean:
		return v.Bool()
	case String:
		return v.Text()
	case Double:
		return v.Double()
	case DateTime:
		return v.Time()
	case Base64:
		return append([]byte{}, v.Base64()...)
	case Struct:
		o := object{}
		for name, value := range v.Members() {
			o = append(o, member{string(name), read(value)})
		}
		return o
	case Array:
		l := list{}
		for value := range v.Elements() {
			l = append(l, read(value))
		}
		return l
	case Nil:
		return nil
	}
	panic(v.Kind().String())
}

// text draws text that XML can carry, rich in what has to be escaped.
func text() *rapid.Generator[string] {
	odd := rapid.SampledFrom([]string{"<", ">", "&", "]]>", "\r", "\r\n", "\n", "\t", " ", "'", `"`, "&lt;", "<!--", "<![CDATA[", "é", "€", "😀", "\u007F", "\u0085", "\uFEFF", "\uFFFD", "\U0010FFFF"})
	usual := rapid.StringN(0, 12, -1).Filter(func(s string) bool {
		return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !isChar(r) }) < 0
	})
	return rapid.Map(rapid.SliceOfN(rapid.OneOf(odd, usual), 0, 6), func(parts []string) string { return strings.Join(parts, "") })
}

func finite() *rapid.Generator[float64] {
	return rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) })
}

func date() *rapid.Generator[time.Time] {
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
	return rapid.Map(rapid.Int64Range(first, last), func(s int64) time.Time { return time.Unix(s, 0).UTC() })
}

// tree draws a value that nests so deep.
func tree(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Int64().AsAny(), rapid.Bool().AsAny(), text().AsAny(), finite().AsAny(), date().AsAny(),
		rapid.SliceOfN(rapid.Byte(), 0, 40).AsAny(), rapid.Just(any(nil)),
	}
	if depth <= 1 {
		return rapid.OneOf(leaves...)
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return tree(depth - 1) })
	lists := rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []any) any { return list(l) })
	objects := rapid.Custom(func(t *rapid.T) any {
		o := object{}
		for _, name := range rapid.SliceOfNDistinct(text(), 0, 4, rapid.ID[string]).Draw(t, "names") {
			o = append(o, member{name, inner.Draw(t, "member")})
		}
		return o
	})
	return rapid.OneOf(append(leaves, lists, objects, lists, objects)...)
}

// equal compares two values as they print, so that a difference can be read.
func equal(t interface{ Fatalf(string, ...any) }, got, want any, source []byte) {
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		t.Fatalf("got  %s\nwant %s\nfrom %q", g, w, source)
	}
}

// TestRoundTrip writes values and reads them again.
func TestRoundTrip(t *testing.T) {
	var d Document
	var w Writer
	rapid.Check(t, func(t *rapid.T) {
		params := rapid.SliceOfN(tree(5), 0, 3).Draw(t, "params")
		method := rapid.StringMatching(`[a-zA-Z0-9_.:/]{1,20}`).Draw(t, "method")
		w.Reset()
		w.BeginCall(method)
		for _, p := range params {
			w.BeginParam()
			write(&w, p)
			w.EndParam()
		}
		w.EndCall()
		if err := d.ParseCall(w.Buf); err != nil {
			t.Fatalf("%v: %q", err, w.Buf)
		}
		if string(d.Method()) != method || d.NumParams() != len(params) {
			t.Fatalf("got %s with %d parameters, want %s with %d", d.Method(), d.NumParams(), method, len(params))
		}
		var again Writer
		again.BeginCall(method)
		for i, want := range params {
			equal(t, read(d.Param(i)), want, w.Buf)
			again.BeginParam()
			again.Value(d.Param(i))
			again.EndParam()
		}
		again.EndCall()
		if !bytes.Equal(again.Buf, w.Buf) {
			t.Fatalf("Value wrote  %q\ninstead of %q", again.Buf, w.Buf)
		}
	})
}

// TestRoundTripResponse does the same with a response or a fault.
func TestRoundTripResponse(t *testing.T) {
	var d Document
	rapid.Check(t, func(t *rapid.T) {
		var w Writer
		if rapid.Bool().Draw(t, "fault") {
			want := Fault{int(rapid.Int32().Draw(t, "code")), text().Draw(t, "message")}
			w.Fault(want.Code, want.Message)
			if err := d.ParseResponse(w.Buf); err != nil || d.Fault() == nil || *d.Fault() != want {
				t.Fatalf("got %v and %v, want %v", err, d.Fault(), want)
			}
			return
		}
		want := tree(4).Draw(t, "result")
		w.BeginResponse()
		write(&w, want)
		w.EndResponse()
		if err := d.ParseResponse(w.Buf); err != nil {
			t.Fatalf("%v: %q", err, w.Buf)
		}
		equal(t, read(d.Param(0)), want, w.Buf)
	})
}

// TestDisguise writes the same call in other words: white space, comments,
// references, CDATA sections, other names of a type. It means the same.
func TestDisguise(t *testing.T) {
	var d Document
	rapid.Check(t, func(t *rapid.T) {
		latin := rapid.Bool().Draw(t, "ISO-8859-1")
		want := tree(4).Draw(t, "value")
		g := disguise{t: t, latin: latin}
		if latin {
			g.raw("<?xml version='1.0' encoding=\"ISO-8859-1\" ?>")
		}
		g.gap()
		for _, tag := range []string{"methodCall", "methodName"} {
			g.tag("<" + tag)
		}
		g.text("m")
		for _, tag := range []string{"</methodName", "<params", "<param"} {
			g.tag(tag)
			g.gap()
		}
		g.value(want)
		for _, tag := range []string{"</param", "</params", "</methodCall"} {
			g.gap()
			g.tag(tag)
		}
		g.gap()
		if err := d.ParseCall(g.Bytes()); err != nil {
			t.Fatalf("%v: %q", err, g.Bytes())
		}
		equal(t, read(d.Param(0)), want, g.Bytes())
	})
}

type disguise struct {
	bytes.Buffer
	t     *rapid.T
	latin bool
}

func (g *disguise) raw(s string) { g.WriteString(s) }

func (g *disguise) pick(of ...string) string { return rapid.SampledFrom(of).Draw(g.t, "pick") }

// gap writes what may stand between tags.
func (g *disguise) gap() { g.raw(g.pick("", "", "", " ", "\r\n\t", "<!-- <x> & -->", " <!----> ")) }

// tag ends a tag.
func (g *disguise) tag(start string) { g.raw(start + g.pick(">", ">", ">", " >", "\n\t>")) }

// text writes character data.
func (g *disguise) text(s string) {
	for _, r := range s {
		plain := string(r)
		switch {
		case r == '\r':
			plain = "&#13;"
		case r == '\n':
			plain = g.pick("\n", "\r\n", "&#10;")
		case r == '<':
			plain = g.pick("&lt;", "<![CDATA[<]]>")
		case r == '>':
			plain = g.pick("&gt;", "<!-- -->&gt;") // "]]>" may not stand in text
		case r == '&':
			plain = g.pick("&amp;", "<![CDATA[&]]>")
		case g.latin && r > 0xFF:
			plain = "&#" + strconv.Itoa(int(r)) + ";"
		case g.latin && r > 0x7F:
			plain = string([]byte{byte(r)})
		}
		if g.pick("", "", "", "", "", "", "reference") != "" {
			plain = fmt.Sprintf(g.pick("&#%d;", "&#x%x;", "&#x%04X;"), r)
		}
		g.raw(plain)
	}
}

func (g *disguise) typed(tag, content string) {
	g.gap()
	g.tag("<" + tag)
	g.text(content)
	g.tag("</" + tag)
	g.gap()
}

func (g *disguise) value(value any) {
	g.tag("<value")
	switch v := value.(type) {
	case int64:
		name := g.pick("i8", "ex:i8")
		if v == int64(int32(v)) {
			name = g.pick("i4", "int", "i8", "ex:i8")
		}
		sign := ""
		if v >= 0 {
			sign = g.pick("", "+", "0", "+00")
		}
		g.typed(name, sign+strconv.FormatInt(v, 10))
	case bool:
		g.typed("boolean", map[bool]string{false: "0", true: "1"}[v])
	case string:
		if g.pick("string", "") == "" {
			g.text(v)
		} else {
			g.typed("string", v)
		}
	case float64:
		g.typed("double", strconv.FormatFloat(v, g.pick("f", "e", "g", "E")[0], -1, 64))
	case time.Time:
		g.typed("dateTime.iso8601", v.Format(g.pick("20060102T15:04:05", "2006-01-02T15:04:05", "20060102T15:04:05Z07:00", "2006-01-02T15:04:05.000-0700")))
	case []byte:
		var w Writer
		w.Base64(v)
		content := strings.TrimSuffix(strings.TrimPrefix(string(w.Buf), "<value><base64>"), "</base64></value>")
		if i := len(content) / 2; i > 0 {
			content = content[:i] + g.pick("", "\n", "\r\n", " ") + content[i:]
		}
		g.typed("base64", content)
	case object:
		g.gap()
		g.tag("<struct")
		for _, m := range v {
			g.gap()
			g.tag("<member")
			g.gap()
			g.tag("<name")
			g.text(m.name)
			g.tag("</name")
			g.gap()
			g.value(m.value)
			g.gap()
			g.tag("</member")
		}
		g.gap()
		g.tag("</struct")
		g.gap()
	case list:
		g.gap()
		g.tag("<array")
		g.gap()
		g.tag("<data")
		for _, element := range v {
			g.gap()
			g.value(element)
		}
		g.gap()
		g.tag("</data")
		g.gap()
		g.tag("</array")
		g.gap()
	case nil:
		g.gap()
		g.raw(g.pick("<nil/>", "<nil />", "<ex:nil/>", "<nil></nil>"))
		g.gap()
	}
	g.tag("</value")
}
