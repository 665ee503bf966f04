package wire

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestWriteCall(t *testing.T) {
	var w Writer
	w.BeginCall("call.start")
	w.BeginParam()
	w.BeginStruct()
	w.MemberString("caller", "41446681800")
	w.MemberStringBytes("<&>", []byte("é"))
	w.MemberInt("n", -1)
	w.MemberBoolean("b", true)
	w.MemberDouble("d", 1e21)
	w.MemberDateTime("t", time.Date(2024, 2, 29, 1, 30, 0, 999, time.FixedZone("", 3600)))
	w.MemberBase64("x", []byte{0, 1, 2, 3})
	w.BeginMember("list")
	w.BeginArray()
	w.Nil()
	w.Boolean(false)
	w.EndArray()
	w.EndMember()
	w.EndStruct()
	w.EndParam()
	w.EndCall()
	const want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<methodCall><methodName>call.start</methodName><params><param><value><struct>` +
		`<member><name>caller</name><value><string>41446681800</string></value></member>` +
		`<member><name>&lt;&amp;&gt;</name><value><string>é</string></value></member>` +
		`<member><name>n</name><value><i4>-1</i4></value></member>` +
		`<member><name>b</name><value><boolean>1</boolean></value></member>` +
		`<member><name>d</name><value><double>1000000000000000000000</double></value></member>` +
		`<member><name>t</name><value><dateTime.iso8601>20240229T00:30:00</dateTime.iso8601></value></member>` +
		`<member><name>x</name><value><base64>AAECAw==</base64></value></member>` +
		`<member><name>list</name><value><array><data><value><nil/></value><value><boolean>0</boolean></value></data></array></value></member>` +
		`</struct></value></param></params></methodCall>`
	if got := string(w.Buf); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWriteResponse(t *testing.T) {
	var w Writer
	w.BeginResponse()
	w.String("x")
	w.EndResponse()
	if want := declaration + `<methodResponse><params><param><value><string>x</string></value></param></params></methodResponse>`; string(w.Buf) != want {
		t.Errorf("got  %s\nwant %s", w.Buf, want)
	}
	w.Reset()
	w.Fault(NotXMLRPC, "a <b>")
	if want := declaration + `<methodResponse><fault><value><struct><member><name>faultCode</name><value><i4>-32600</i4></value></member><member><name>faultString</name><value><string>a &lt;b&gt;</string></value></member></struct></value></fault></methodResponse>`; string(w.Buf) != want {
		t.Errorf("got  %s\nwant %s", w.Buf, want)
	}
	var d Document
	if err := d.ParseResponse(w.Buf); err != nil || *d.Fault() != (Fault{NotXMLRPC, "a <b>"}) {
		t.Errorf("read again: %v, %v", err, d.Fault())
	}
	if got, want := d.Fault().Error(), "XML-RPC fault -32600: a <b>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWriteInt(t *testing.T) {
	for i, want := range map[int64]string{
		0: "<i4>0</i4>", math.MaxInt32: "<i4>2147483647</i4>", math.MinInt32: "<i4>-2147483648</i4>",
		math.MaxInt32 + 1: "<i8>2147483648</i8>", math.MinInt32 - 1: "<i8>-2147483649</i8>",
		math.MinInt64: "<i8>-9223372036854775808</i8>",
	} {
		var w Writer
		if w.Int(i); string(w.Buf) != "<value>"+want+"</value>" {
			t.Errorf("got %s, want %s", w.Buf, want)
		}
	}
}

func TestWriteText(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		`plain 'text' "quoted"`: `plain 'text' "quoted"`,
		"<&>]]>":                "&lt;&amp;&gt;]]&gt;",
		"\t\n\r":                "\t\n&#13;",
		"é€😀\u007F\u0085":       "é€😀\u007F\u0085",
		"a\x00b\x1Fc":           "a\uFFFDb\uFFFDc",
		"\uFFFE\uFFFF":          "\uFFFD\uFFFD",
		"a\xFFb":                "a\uFFFDb",
		"cut \xE2\x82":          "cut \uFFFD\uFFFD",
		"\xED\xA0\x80":          "\uFFFD\uFFFD\uFFFD",
	} {
		var s, b Writer
		s.String(text)
		b.StringBytes([]byte(text))
		if want := "<value><string>" + want + "</string></value>"; string(s.Buf) != want || string(b.Buf) != want {
			t.Errorf("%q\ngot  %q\nand  %q\nwant %q", text, s.Buf, b.Buf, want)
		}
	}
}

// TestWriteWhatHasNoForm checks that the Writer never writes what its own
// parser refuses.
func TestWriteWhatHasNoForm(t *testing.T) {
	for name, write := range map[string]func(w *Writer){
		"NaN":        func(w *Writer) { w.Double(math.NaN()) },
		"+Inf":       func(w *Writer) { w.Double(math.Inf(1)) },
		"-Inf":       func(w *Writer) { w.Double(math.Inf(-1)) },
		"year 10000": func(w *Writer) { w.DateTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) },
		"year -1":    func(w *Writer) { w.DateTime(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)) },
	} {
		func() {
			var w Writer
			defer func() {
				if message, _ := recover().(string); !strings.HasPrefix(message, "wire: XML-RPC has no ") || len(w.Buf) != 0 {
					t.Errorf("%s: got %q and wrote %q", name, message, w.Buf)
				}
			}()
			write(&w)
		}()
	}
}

// TestWriteValue writes what was read.
func TestWriteValue(t *testing.T) {
	value := `<struct><member><name>a&amp;</name><value><array><data><value><i4>1</i4></value><value><i8>5000000000</i8></value>` +
		`<value><boolean>1</boolean></value><value><string>x &lt;</string></value><value><double>2.5</double></value>` +
		`<value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value><value><base64>AAE=</base64></value>` +
		`<value><nil/></value></data></array></value></member><member><name>b</name><value><struct></struct></value></member></struct>`
	var d Document
	if err := d.ParseCall([]byte(call(value))); err != nil {
		t.Fatal(err)
	}
	var w Writer
	if w.Value(d.Param(0)); string(w.Buf) != "<value>"+value+"</value>" {
		t.Errorf("got  %s\nwant %s", w.Buf, value)
	}
	w.Reset()
	if w.Value(Value{}); len(w.Buf) != 0 {
		t.Errorf("the zero Value wrote %s", w.Buf)
	}
}
