package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// dump writes a value so that a test can compare it at a glance:
// {name: "text", n: 3, list: [true, nil]}.
func dump(v Value) string {
	switch v.Kind() {
	case Int:
		return strconv.FormatInt(v.Int(), 10)
	case Boolean:
		return strconv.FormatBool(v.Bool())
	case String:
		return strconv.Quote(v.Text())
	case Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64) + "f"
	case DateTime:
		return v.Time().Format(time.RFC3339Nano)
	case Base64:
		return fmt.Sprintf("x'%x'", v.Base64())
	case Struct:
		var members []string
		for name, member := range v.Members() {
			members = append(members, string(name)+": "+dump(member))
		}
		return "{" + strings.Join(members, ", ") + "}"
	case Array:
		var elements []string
		for element := range v.Elements() {
			elements = append(elements, dump(element))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	return v.Kind().String()
}

// dumpCall is a call as method(params).
func dumpCall(d *Document) string {
	var params []string
	for i := range d.NumParams() {
		params = append(params, dump(d.Param(i)))
	}
	return string(d.Method()) + "(" + strings.Join(params, ", ") + ")"
}

// call wraps the inside of a value into a methodCall.
func call(value string) string {
	return "<methodCall><methodName>m</methodName><params><param><value>" + value + "</value></param></params></methodCall>"
}

type accepted struct{ name, body, want string }

// clients has, per client, what it puts on the wire.
func clients() []accepted {
	return []accepted{
		{"Python xmlrpc.client", "<?xml version='1.0'?>\n<methodCall>\n<methodName>number.translate</methodName>\n<params>\n<param>\n<value><struct>\n<member>\n<name>caller</name>\n<value><string>41446681800</string></value>\n</member>\n<member>\n<name>n</name>\n<value><int>7</int></value>\n</member>\n<member>\n<name>raw</name>\n<value><base64>\nAAEC\n</base64></value>\n</member>\n<member>\n<name>x</name>\n<value><double>1e-05</double></value>\n</member>\n<member>\n<name>at</name>\n<value><dateTime.iso8601>20240229T23:59:59</dateTime.iso8601></value>\n</member>\n<member>\n<name>none</name>\n<value><nil/></value></member>\n<member>\n<name>list</name>\n<value><array><data>\n<value><boolean>1</boolean></value>\n</data></array></value>\n</member>\n</struct></value>\n</param>\n</params>\n</methodCall>\n",
			`number.translate({caller: "41446681800", n: 7, raw: x'000102', x: 1e-05f, at: 2024-02-29T23:59:59Z, none: nil, list: [true]})`},
		{"Perl RPC::XML", `<?xml version="1.0" encoding="us-ascii"?><methodCall><methodName>a.b</methodName><params><param><value><string>Z&#252;rich</string></value></param></params></methodCall>`,
			`a.b("Zürich")`},
		{"Perl XMLRPC::Lite", `<?xml version="1.0" encoding="UTF-8"?><methodCall><methodName>a.b</methodName><params><param><value><string>x</string></value></param><param><value><i4>-4</i4></value></param></params></methodCall>`,
			`a.b("x", -4)`},
		{"PHP", "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n <param>\n  <value>\n   <struct>\n    <member>\n     <name>city</name>\n     <value>\n      <string>Z&#252;rich</string>\n     </value>\n    </member>\n   </struct>\n  </value>\n </param>\n</params>\n</methodCall>\n",
			`a.b({city: "Zürich"})`},
		{"old PHP, raw ISO-8859-1", "<?xml version=\"1.0\" encoding='ISO-8859-1' ?><methodCall><methodName>a</methodName><params><param><value><string>Z\xFCrich \xE9</string></value></param></params></methodCall>",
			`a("Zürich é")`},
		{"npm xmlrpc", `<?xml version="1.0"?><methodCall><methodName>a</methodName><params><param><value><string><![CDATA[<b> & ]] ü]]></string></value></param><param><value><string/></value></param></params></methodCall>`,
			`a("<b> & ]] ü", "")`},
		{"Ruby", `<?xml version="1.0" ?><methodCall><methodName>a</methodName><params><param><value><i4>1</i4></value></param><param><value><double>2.5</double></value></param></params></methodCall>` + "\n",
			`a(1, 2.5f)`},
		{"Lua", `<?xml version="1.0"?>` + "\n<methodCall>\n  <methodName>a</methodName>\n  <params>\n    <param>\n      <value>\n        <struct>\n          <member>\n            <name>1</name>\n            <value><string>x</string></value>\n          </member>\n          <member>\n            <name>2</name>\n            <value><string>y</string></value>\n          </member>\n        </struct>\n      </value>\n    </param>\n  </params>\n</methodCall>",
			`a({1: "x", 2: "y"})`},
		{"Tcl, indented and with DOS line ends", strings.ReplaceAll("<?xml version=\"1.0\"?>\n<methodCall>\n\t<methodName>a</methodName>\n\t<params>\n\t\t<param>\n\t\t\t<value><int>5</int></value>\n\t\t</param>\n\t</params>\n</methodCall>\n", "\n", "\r\n"),
			`a(5)`},
		{"Apache ws-xmlrpc with extensions", `<?xml version="1.0" encoding="UTF-8"?><methodCall xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"><methodName>a</methodName><params><param><value><ex:i8>9223372036854775807</ex:i8></value></param><param><value><ex:nil/></value></param></params></methodCall>`,
			`a(9223372036854775807, nil)`},
		{"xmlrpc-c", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<methodCall>\r\n<methodName>a</methodName>\r\n<params>\r\n<param><value><i4>3</i4></value></param>\r\n<param><value><base64>\r\nAQ==\r\n</base64></value></param>\r\n<param><value><i8>-5000000000</i8></value></param></params>\r\n</methodCall>\r\n",
			`a(3, x'01', -5000000000)`},
		{"UserLand", "<?xml version=\"1.0\"?>\n<methodCall>\n\t<methodName>examples.getStateName</methodName>\n\t<params>\n\t\t<param>\n\t\t\t<value>South Dakota</value>\n\t\t\t</param>\n\t\t</params>\n\t</methodCall>",
			`examples.getStateName("South Dakota")`},
	}
}

func TestClients(t *testing.T) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			var d Document
			if err := d.ParseCall([]byte(c.body)); err != nil {
				t.Fatal(err)
			}
			if got := dumpCall(&d); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestEnvelope is about what stands around the values.
func TestEnvelope(t *testing.T) {
	const body = "<methodCall><methodName>m</methodName><params><param><value>é</value></param></params></methodCall>"
	for _, c := range []accepted{
		{"no declaration", body, `m("é")`},
		{"byte order mark", "\xEF\xBB\xBF" + body, `m("é")`},
		{"byte order mark and declaration", "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?>" + body, `m("é")`},
		{"declaration with everything", "<?xml\tversion = \"1.0\"\r\n encoding\n=\n'UTF-8' standalone='yes' ?>" + body, `m("é")`},
		{"encoding in another case", `<?xml version="1.0" encoding="Utf-8"?>` + body, `m("é")`},
		{"UTF-8 read as ISO-8859-1", `<?xml version="1.0" encoding="iso-8859-1"?>` + body, `m("Ã©")`},
		{"comments everywhere", "<!-- a --><methodCall><!--b--><methodName>m<!-- c --></methodName><!----></methodCall><!-- d - -->", `m()`},
		{"white space everywhere", " \n<methodCall\n>\t<methodName >m</methodName\r\n> <params > <param> <value> <i4>1</i4 > </value> </param> </params> </methodCall> \n", `m(1)`},
		{"no params", "<methodCall><methodName>m</methodName></methodCall>", `m()`},
		{"empty params", "<methodCall><methodName>m</methodName><params/></methodCall>", `m()`},
		{"all of a method's name", "<methodCall><methodName>a.B_9:/z</methodName></methodCall>", `a.B_9:/z()`},
		{"a method's name with references", "<methodCall><methodName>&#97;.<![CDATA[b]]></methodName></methodCall>", `a.b()`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Document
			if err := d.ParseCall([]byte(c.body)); err != nil {
				t.Fatal(err)
			}
			if got := dumpCall(&d); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

type written struct{ value, want string }

// values has every way to write a value that is taken.
func values() []written {
	return []written{
		{`<int>0</int>`, "0"},
		{`<i4>+12</i4>`, "12"},
		{`<i4>-0007</i4>`, "-7"},
		{`<int>2147483647</int>`, "2147483647"},
		{`<int>-2147483648</int>`, "-2147483648"},
		{`<i8>-9223372036854775808</i8>`, "-9223372036854775808"},
		{`<ex:i8>9223372036854775807</ex:i8>`, "9223372036854775807"},
		{`<i4>1<!-- -->2</i4>`, "12"},
		{`<i4>&#49;<![CDATA[2]]></i4>`, "12"},
		{`<boolean>1</boolean>`, "true"},
		{`<boolean>0</boolean>`, "false"},
		{`<double>-12.214</double>`, "-12.214f"},
		{`<double>3</double>`, "3f"},
		{`<double>+.5</double>`, "0.5f"},
		{`<double>5.</double>`, "5f"},
		{`<double>1.5E+10</double>`, "1.5e+10f"},
		{`<double>1e-400</double>`, "0f"},
		{`<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>`, "1998-07-17T14:08:55Z"},
		{`<dateTime.iso8601>2000-02-29T00:00:00</dateTime.iso8601>`, "2000-02-29T00:00:00Z"},
		{`<dateTime.iso8601>19980717T14:08:55Z</dateTime.iso8601>`, "1998-07-17T14:08:55Z"},
		{`<dateTime.iso8601>19980717T14:08:55+0230</dateTime.iso8601>`, "1998-07-17T11:38:55Z"},
		{`<dateTime.iso8601>1998-07-17T14:08:55.250-01:00</dateTime.iso8601>`, "1998-07-17T15:08:55.25Z"},
		{`<base64>eW91IGNhbid0</base64>`, "x'796f752063616e2774'"},
		{"<base64>\n  eW\r\n\t9 1 &#10;\n</base64>", "x'796f75'"},
		{`<base64>/+8=</base64>`, "x'ffef'"},
		{`<base64></base64>`, "x''"},
		{`<base64/>`, "x''"},
		{`<nil/>`, "nil"},
		{`<nil></nil>`, "nil"},
		{`<ex:nil />`, "nil"},
		{``, `""`},
		{`<string></string>`, `""`},
		{`<string/>`, `""`},
		{`<string />`, `""`},
		{`text`, `"text"`},
		{`  `, `"  "`},
		{` <string> a </string> `, `" a "`},
		{`<string>&lt;&gt;&amp;&apos;&quot;</string>`, `"<>&'\""`},
		{`<string>&amp;lt;</string>`, `"&lt;"`},
		{`<string>&#x1F600;&#128512;😀&#xa;&#0065;</string>`, `"😀😀😀\nA"`},
		{`<string>a<![CDATA[]]>b<![CDATA[<&]]>]] > ></string>`, `"ab<&]] > >"`},
		{`a<!-- x -->b<!-- y -->`, `"ab"`},
		{"<string>a\r\nb\rc\nd&#13;\r</string>", `"a\nb\nc\nd\r\n"`},
		{"<string><![CDATA[a\r\nb\r]]></string>", `"a\nb\n"`},
		{"\uFEFF\U0010FFFD\u007F\u0085", `"\ufeff\U0010fffd\x7f\u0085"`},
		{`<struct></struct>`, "{}"},
		{`<struct/>`, "{}"},
		{`<struct><member><name/><value/></member><member><name>&lt;a b&gt;</name><value><i4>1</i4></value></member></struct>`, `{: "", <a b>: 1}`},
		{`<struct><member><name>a</name><value><struct><member><name>a</name><value>x</value></member></struct></value></member></struct>`, `{a: {a: "x"}}`},
		{`<array><data/></array>`, "[]"},
		{`<array><data><value/><value><array><data><value>x</value></data></array></value><value><nil/></value></data></array>`, `["", ["x"], nil]`},
	}
}

func TestValues(t *testing.T) {
	for _, c := range values() {
		t.Run(c.value, func(t *testing.T) {
			var d Document
			if err := d.ParseCall([]byte(call(c.value))); err != nil {
				t.Fatal(err)
			}
			if got := dump(d.Param(0)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestResponses(t *testing.T) {
	var d Document
	if err := d.ParseResponse([]byte(`<?xml version="1.0"?><methodResponse><params><param><value>South Dakota</value></param></params></methodResponse>`)); err != nil {
		t.Fatal(err)
	}
	if got := dump(d.Param(0)); got != `"South Dakota"` || d.NumParams() != 1 || d.Fault() != nil {
		t.Errorf("got %s, %d parameters, fault %v", got, d.NumParams(), d.Fault())
	}
	if err := d.ParseResponse([]byte(`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member><member><name>faultString</name><value>Too many &lt;parameters&gt;.</value></member></struct></value></fault></methodResponse>`)); err != nil {
		t.Fatal(err)
	}
	if f := d.Fault(); f == nil || *f != (Fault{4, "Too many <parameters>."}) || d.NumParams() != 0 {
		t.Errorf("got %v and %d parameters", f, d.NumParams())
	}
	if err := d.ParseCall([]byte(call("x"))); err != nil || d.Fault() != nil {
		t.Errorf("after a fault: %v, %v", err, d.Fault())
	}
}

// TestAccess asks for what is not there.
func TestAccess(t *testing.T) {
	var d Document
	if d.NumParams() != 0 || d.Param(0) != (Value{}) || len(d.Method()) != 0 || d.Fault() != nil {
		t.Error("a Document that never parsed is not empty")
	}
	err := d.ParseCall([]byte(call(`<array><data><value><i4>7</i4></value><value><boolean>1</boolean></value><value>s</value><value><double>1</double></value><value><dateTime.iso8601>19980717T14:08:55</dateTime.iso8601></value><value><base64>AA==</base64></value><value><struct><member><name>m</name><value>s</value></member></struct></value><value><array><data><value>s</value></data></array></value><value><nil/></value></data></array>`)))
	if err != nil {
		t.Fatal(err)
	}
	list := d.Param(0)
	values := slices.Collect(list.Elements())
	if d.Param(-1) != (Value{}) || d.Param(1) != (Value{}) || list.Index(-1) != (Value{}) || list.Index(9) != (Value{}) || list.Index(8) != values[8] {
		t.Error("Param or Index out of range gives a value, or Index does not agree with Elements")
	}
	words := []string{"int", "boolean", "string", "double", "dateTime.iso8601", "base64", "struct", "array", "nil", "invalid"}
	for i, v := range append(values, Value{}) {
		if got := v.Kind().String(); got != words[i] {
			t.Errorf("value %d is of kind %s, want %s", i, got, words[i])
		}
		k := v.Kind()
		_, hasMember := v.Member("m")
		for _, c := range []struct {
			what string
			got  bool
			want bool
		}{
			{"Int", v.Int() != 0, k == Int},
			{"Bool", v.Bool(), k == Boolean},
			{"Bytes", v.Bytes() != nil, k == String},
			{"Text", v.Text() != "", k == String},
			{"Double", v.Double() != 0, k == Double},
			{"Time", !v.Time().IsZero(), k == DateTime},
			{"Base64", v.Base64() != nil, k == Base64},
			{"AppendBase64", len(v.AppendBase64([]byte("x"))) > 1, k == Base64},
			{"Len", v.Len() == 1, k == Struct || k == Array},
			{"Member", hasMember, k == Struct},
			{"Index", v.Index(0) != (Value{}), k == Array},
			{"Elements", len(slices.Collect(v.Elements())) == 1, k == Array},
		} {
			if c.got != c.want {
				t.Errorf("%s of %s: got a value %v, want %v", c.what, k, c.got, c.want)
			}
		}
	}
	if v, ok := values[6].Member("other"); ok || v != (Value{}) {
		t.Error("Member gives a member that is not there")
	}
	if err := d.ParseCall([]byte("<")); err == nil || d.NumParams() != 0 || len(d.Method()) != 0 {
		t.Error("a Document is not empty after a fault")
	}
}
