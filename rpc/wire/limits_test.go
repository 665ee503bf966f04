package wire

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// nest puts value into n arrays.
func nest(n int, value string) string {
	return strings.Repeat("<array><data><value>", n) + value + strings.Repeat("</value></data></array>", n)
}

// members is the inside of a struct with n members.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("<member><name>" + strconv.Itoa(i) + "</name><value/></member>")
	}
	return b.String()
}

// TestLimits tries each limit at its last good value and one beyond.
func TestLimits(t *testing.T) {
	pad := func(n int) string {
		return call("x") + strings.Repeat(" ", n-len(call("x")))
	}
	deepStruct := func(n int) string {
		return call(strings.Repeat("<struct><member><name>a</name><value>", n) + "<i4>1</i4>" + strings.Repeat("</value></member></struct>", n))
	}
	// An array of n empty values: 2 tags each; methodCall, params, param,
	// value, array and data 2 each; methodName 3.
	values := func(n int) string {
		return call("<array><data>" + strings.Repeat("<value/>", n) + "</data></array>")
	}
	for _, c := range []struct {
		name, good, bad, message string
	}{
		{"body", pad(MaxBody), pad(MaxBody + 1), "over the limit of 65536 bytes"},
		{"depth of arrays", call(nest(MaxDepth-1, "<i4>1</i4>")), call(nest(MaxDepth, "")), "values nest deeper than 32"},
		{"depth of structs", deepStruct(MaxDepth - 1), deepStruct(MaxDepth), "values nest deeper than 32"},
		{"tokens", values((MaxTokens - 15) / 2), values((MaxTokens-15)/2 + 1), "more than 10000 tokens"},
		{"tokens that are comments", call(strings.Repeat("<!---->", MaxTokens/2)), "<!---->" + strings.Repeat("<!---->", MaxBody/8), ""},
		{"members", call("<struct>" + members(MaxMembers) + "</struct>"), call("<struct>" + members(MaxMembers+1) + "</struct>"), "more than 256 members"},
		{"string", call("<string>" + strings.Repeat("x", MaxString) + "</string>"), call("<string>" + strings.Repeat("x", MaxString+1) + "</string>"), "a string over the limit of 4096 bytes"},
		{"string with references", call(strings.Repeat("&lt;", MaxString)), call(strings.Repeat("&lt;", MaxString+1)), "a string over the limit"},
		{"string of wide characters", call(strings.Repeat("é", MaxString/2)), call(strings.Repeat("é", MaxString/2) + "x"), "a string over the limit"},
		{"int", call("<int>" + strings.Repeat("0", MaxString) + "</int>"), call("<int>" + strings.Repeat("0", MaxString+1) + "</int>"), "an int over the limit"},
		{"base64", call("<base64>" + strings.Repeat("A", MaxString) + "</base64>"), call("<base64>" + strings.Repeat("A", MaxString+4) + "</base64>"), "base64 over the limit"},
		{"member's name", call("<struct><member><name>" + strings.Repeat("x", MaxString) + "</name><value/></member></struct>"), call("<struct><member><name>" + strings.Repeat("x", MaxString+1) + "</name><value/></member></struct>"), "a member's name over the limit"},
		{"method's name", "<methodCall><methodName>" + strings.Repeat("x", MaxString) + "</methodName></methodCall>", "<methodCall><methodName>" + strings.Repeat("x", MaxString+1) + "</methodName></methodCall>", "the method's name over the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Document
			if err := d.ParseCall([]byte(c.good)); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			if f := fault(t, c.bad); c.message != "" && (f.Code != NotXMLRPC || !strings.Contains(f.Message, c.message)) {
				t.Errorf("beyond the limit: got %v, want %q", f, c.message)
			}
		})
	}
	if f := fault(t, strings.Repeat("<a>", maxOpen+1)); f.Code != NotXMLRPC || !strings.Contains(f.Message, "deeper") {
		t.Errorf("elements that nest for ever: %v", f)
	}
}

// TestHostileMemory parses what was made to cost memory and counts everything
// that was allocated for it.
func TestHostileMemory(t *testing.T) {
	fill := func(before, unit, after string) []byte {
		n := (MaxBody - len(before) - len(after)) / len(unit)
		return []byte(before + strings.Repeat(unit, n) + after)
	}
	head, tail, _ := strings.Cut(call("|"), "|")
	latin := `<?xml version="1.0" encoding="iso-8859-1"?>`
	for name, body := range map[string][]byte{
		"values":           fill(head+"<array><data>", "<value/>", "</data></array>"+tail),
		"typed values":     fill(head+"<array><data>", "<value><i4/></value>", "</data></array>"+tail),
		"open values":      fill("<methodCall><methodName>m</methodName><params><param>", "<value><array><data>", ""),
		"open elements":    fill("", "<a>", ""),
		"references":       fill(head, "&#60;", tail),
		"references apart": fill(head+"<array><data>", "<value>&lt;</value>", "</data></array>"+tail),
		"carriage returns": fill(head, "\r", tail),
		"CDATA":            fill(head, "<![CDATA[]]>", tail),
		"comments":         fill(head, "<!---->", tail),
		"instructions":     fill(head, "<?a?>", tail),
		"attributes":       fill("<methodCall ", "a='' ", "/>"),
		"one name":         fill("<", "a", "/>"),
		"one string":       fill(head, "x", tail),
		"latin string":     fill(latin+head, "\xE9", tail),
		"latin references": fill(latin+head+"<array><data>", "<value>\xE9&lt;</value>", "</data></array>"+tail),
		"base64":           fill(head+"<base64>", "AAAA", "</base64>"+tail),
		"double":           fill(head+"<double>", "1", "</double>"+tail),
		"members":          fill(head+"<struct>", "<member><name/><value/></member>", "</struct>"+tail),
		"structs of 256":   fill(head+"<array><data>", "<value><struct>"+members(MaxMembers)+"</struct></value>", "</data></array>"+tail),
		"long method":      fill("<methodCall><methodName>", "\x07", "</methodName></methodCall>"),
		"a 1 GB string":    make([]byte, 1<<30),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d := new(Document)
			err := d.ParseCall(body)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("%d bytes allocated (%v)", used, err)
			} else {
				t.Logf("%d bytes (%v)", used, err)
			}
			runtime.KeepAlive(d)
		})
	}
}
