package wire

import (
	"errors"
	"strings"
	"testing"
)

// fault parses body as a call and gives its fault.
func fault(t testing.TB, body string) *Fault {
	t.Helper()
	var d Document
	err := d.ParseCall([]byte(body))
	if err == nil {
		t.Fatalf("accepted as %s: %.200q", dumpCall(&d), body)
	}
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("the error is a %T", err)
	}
	return f
}

type refusal struct {
	name, body string
	code       int
	message    string // part of the message
}

func checkRefusals(t *testing.T, table []refusal) {
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			f := fault(t, c.body)
			if f.Code != c.code || !strings.Contains(f.Message, c.message) {
				t.Errorf("%.200q\ngot  %d %q\nwant %d with %q", c.body, f.Code, f.Message, c.code, c.message)
			}
		})
	}
}

func TestNotWellFormed(t *testing.T) {
	bad := func(name, body, message string) refusal { return refusal{name, body, NotWellFormed, message} }
	in := func(name, value, message string) refusal { return bad(name, call(value), message) }
	checkRefusals(t, []refusal{
		bad("empty", "", "no root element at byte 0"),
		bad("white space", " \n", "no root element at byte 2"),
		bad("text", "hello", "unexpected \"h\" before the root element at byte 0"),
		bad("a lone bracket", "<", "ends before the root element at byte 1"),
		bad("a bracket and space", "< methodCall/>", "where a tag's name should start at byte 1"),
		bad("end tag first", "</methodCall>", "end tag before the root"),
		bad("cut in a name", "<metho", "ends in a start tag at byte 6"),
		bad("cut after a tag", "<methodCall>", "ends inside <methodCall> at byte 12"),
		bad("cut in a text", "<methodCall><methodName>abc", "ends inside <methodName> at byte 27"),
		bad("cut before the end", strings.TrimSuffix(call("x"), "</methodCall>"), "ends inside <methodCall>"),
		bad("cut in the end tag", strings.TrimSuffix(call("x"), ">"), "in an end tag"),
		bad("trailing text", call("x")+"x", `unexpected "x" after the root element`),
		bad("trailing element", call("x")+"<a/>", "after the root element"),
		bad("trailing end tag", call("x")+"</a>", "after the root element"),
		bad("trailing reference", call("x")+"&#32;", "after the root element"),
		bad("two documents", call("x")+call("x"), "after the root element"),
		bad("space before the declaration", ` <?xml version="1.0"?>`+call("x"), "not at the document's start at byte 1"),
		bad("two declarations", `<?xml version="1.0"?><?xml version="1.0"?>`+call("x"), "not at the document's start at byte 21"),
		bad("declaration in another case", `<?XML version="1.0"?>`+call("x"), "not at the document's start"),
		bad("declaration without version", `<?xml encoding="utf-8"?>`+call("x"), "has no version"),
		bad("declaration with nothing", `<?xml ?>`+call("x"), "has no version"),
		bad("declaration of XML 1.1", `<?xml version="1.1"?>`+call("x"), "has no version"),
		bad("declaration of version 1", `<?xml version="1"?>`+call("x"), "has no version"),
		bad("declaration with unlike quotes", `<?xml version="1.0'?>`, "a quote without its end"),
		bad("declaration without quotes", `<?xml version=1.0?>`, "in the XML declaration at byte 14"),
		bad("declaration without equals", `<?xml version "1.0"?>`, "in the XML declaration at byte 14"),
		bad("declaration in a wrong order", `<?xml version="1.0" standalone="yes" encoding="utf-8"?>`+call("x"), "in the XML declaration at byte 37"),
		bad("declaration with a name twice", `<?xml version="1.0" version="1.0"?>`+call("x"), "in the XML declaration"),
		bad("declaration without space", `<?xml version="1.0"encoding="utf-8"?>`+call("x"), "in the XML declaration"),
		bad("declaration with standalone maybe", `<?xml version="1.0" standalone="maybe"?>`+call("x"), "standalone"),
		bad("declaration without its end", `<?xml version="1.0">`+call("x"), "in the XML declaration"),
		bad("an empty encoding", `<?xml version="1.0" encoding=""?>`+call("x"), "bad encoding name"),
		bad("an encoding that is no name", `<?xml version="1.0" encoding="-utf8"?>`+call("x"), "bad encoding name"),
		in("wrong end tag", "<i4>1</int>", "end tag </int> where <i4> is open"),
		in("end tag in another case", "<string>x</String>", "end tag </String> where <string> is open"),
		in("end tag longer", "<i4>1</i44>", "end tag </i44> where <i4> is open"),
		in("end tag shorter", "<i4>1</i>", "end tag </i> where <i4> is open"),
		in("end tag with a space before its name", "<i4>1</ i4>", "in an end tag"),
		in("end tag with an attribute", "<i4>1</i4 a='1'>", "in an end tag"),
		in("crossed tags", "<string><i4>1</string></i4>", "end tag </string> where <i4> is open"),
		in("a name that starts with a digit", "<1/>", `unexpected "1"`),
		in("a name that starts with a hyphen", "<-a/>", `unexpected "-"`),
		in("a slash in a tag", "<a / >", `unexpected "/"`),
		in("an attribute without a value", "<a b/>", "after an attribute's name"),
		in("an attribute without quotes", "<a b=1/>", "quoted value should start"),
		in("an attribute without its end quote", "<a b='1/>", "in an attribute's value"),
		in("an attribute with a bracket", "<a b='<'/>", "in an attribute's value"),
		in("an attribute with an ampersand", "<a b='&'/>", "in an entity reference"),
		in("an attribute twice", "<a b='1' c='2' b='3'/>", "attribute b stands twice"),
		in("attributes without space", "<a b='1'c='2'/>", "in a start tag"),
		in("a double hyphen in a comment", "<!-- a -- b -->x", `"--" inside a comment`),
		in("a comment that ends in three hyphens", "<!-- a --->x", `"--" inside a comment`),
		in("a comment without its end", "<!-- a ->x", "a comment without its end"),
		in("a comment that is not", "<!- a -->x", "markup declaration"),
		in("]]> in text", "a]]>b", `"]]>" in character data`),
		in("]]> after CDATA", "<![CDATA[a]]>]]>", `"]]>" in character data`),
		in("CDATA without its end", "<![CDATA[a]] >", "a CDATA section without its end"),
		in("CDATA in another case", "<![cdata[a]]>", "markup declaration"),
		bad("CDATA outside the root", call("x")+"<![CDATA[ ]]>", "after the root element"),
		bad("CDATA before the root", "<![CDATA[ ]]>"+call("x"), "markup declaration"),
		in("Lua 1.2.1", "<string>a <& b</string>", "where a tag's name should start"),
		in("a lone ampersand", "a & b", "in an entity reference"),
		in("an ampersand before a tag", "a &", "in an entity reference"),
		in("an entity without its semicolon", "a &amp b", "in an entity reference"),
		in("an entity of HTML", "a&nbsp;b", "entity &nbsp; is not declared"),
		in("an entity in another case", "&LT;", "entity &LT; is not declared"),
		in("a character reference to nothing", "&#;", "in a character reference"),
		in("a hexadecimal reference to nothing", "&#x;", "in a character reference"),
		in("a reference with X", "&#X41;", "in a character reference"),
		in("a reference with a letter", "&#6A;", "in a character reference"),
		in("a reference with a sign", "&#-65;", "in a character reference"),
		in("a reference without its semicolon", "&#65 ", "in a character reference"),
		in("DOCTYPE inside", "<!DOCTYPE a>", "markup declaration inside an element"),
		in("a processing instruction without a target", "<? x?>", "target should start"),
		in("a processing instruction without space", "<?a+?>", "after a processing instruction's target"),
		in("a processing instruction without its end", "<?a b>", "a processing instruction without its end"),
		in("a declaration inside", "<?xml version='1.0'?>", "not at the document's start"),
		bad("DOCTYPE after the root", call("x")+"<!DOCTYPE a>", "after the root element"),
		bad("DOCTYPE in another case", "<!doctype a>"+call("x"), "markup declaration"),
		bad("not XML-RPC first, not well-formed later", "<html><p>hello</html>", "end tag </html> where <p> is open"),
		bad("a bad int first, not well-formed later", call("<int>x</int>")+"junk", "after the root element"),
	})
}

func TestInvalidCharacter(t *testing.T) {
	in := func(name, value, message string) refusal {
		return refusal{name, call(value), InvalidCharacter, message}
	}
	checkRefusals(t, []refusal{
		in("NUL", "a\x00b", "U+0000"),
		in("a control character", "a\x1Bb", "U+001B"),
		in("a control character in a comment", "<!--\x01-->", "U+0001"),
		in("a control character in CDATA", "<![CDATA[\x01]]>", "U+0001"),
		in("a control character in an attribute", "<a b='\x01'/>", "U+0001"),
		in("a control character in a tag", "<a\x01/>", "U+0001"),
		in("a control character between tags", "<struct>\x02</struct>", "U+0002"),
		in("a control character in an instruction", "<?a \x01?>", "U+0001"),
		{"a control character before the root", "\x01" + call("x"), InvalidCharacter, "U+0001"},
		{"a control character after the root", call("x") + "\x01", InvalidCharacter, "U+0001"},
		in("U+FFFE", "\uFFFE", "U+FFFE"),
		in("U+FFFF", "\uFFFF", "U+FFFF"),
		in("a lone continuation byte", "\x80", "the byte 0x80 is not UTF-8"),
		in("ISO-8859-1 without a declaration", "Z\xFCrich", "the byte 0xFC is not UTF-8"),
		in("an overlong slash", "\xC0\xAF", "the byte 0xC0 is not UTF-8"),
		in("an overlong NUL", "\xC0\x80", "the byte 0xC0 is not UTF-8"),
		in("an overlong euro", "\xF0\x82\x82\xAC", "the byte 0xF0 is not UTF-8"),
		in("a surrogate in UTF-8", "\xED\xA0\x80", "the byte 0xED is not UTF-8"),
		in("a pair of surrogates in UTF-8", "\xED\xA0\xBD\xED\xB8\x80", "the byte 0xED is not UTF-8"),
		in("beyond U+10FFFF", "\xF4\x90\x80\x80", "the byte 0xF4 is not UTF-8"),
		in("a cut character", "\xE2\x82", "the byte 0xE2 is not UTF-8"),
		in("bad UTF-8 in a name", "<a\xFF/>", "the byte 0xFF is not UTF-8"),
		in("a reference to NUL", "&#0;", "of reference &#0;"),
		in("a reference to a control character", "&#x1b;", "of reference &#x1b;"),
		in("a reference to a surrogate", "&#xD800;", "of reference &#xD800;"),
		in("a pair of surrogate references", "&#xD83D;&#xDE00;", "of reference &#xD83D;"),
		in("a reference to U+FFFF", "&#65535;", "of reference &#65535;"),
		in("a reference beyond U+10FFFF", "&#x110000;", "of reference &#x110000;"),
		in("a reference that overflows", "&#4294967361;", "of reference &#4294967361;"),
		in("a reference in an attribute", "<a b='&#0;'/>", "of reference &#0;"),
		{"not ASCII", `<?xml version="1.0" encoding="us-ascii"?>` + call("é"), InvalidCharacter, "the byte 0xC3 is not US-ASCII at byte 101"},
	})
}

func TestUnsupportedEncoding(t *testing.T) {
	checkRefusals(t, []refusal{
		{"windows-1252", `<?xml version="1.0" encoding="windows-1252"?>` + call("x"), UnsupportedEncoding, `"windows-1252" is not supported`},
		{"ISO-8859-15", `<?xml version="1.0" encoding="ISO-8859-15"?>` + call("x"), UnsupportedEncoding, `"ISO-8859-15"`},
		{"a long name", `<?xml version="1.0" encoding="` + strings.Repeat("x", 500) + `"?>` + call("x"), UnsupportedEncoding, "xxx"},
		{"UTF-16, declared", `<?xml version="1.0" encoding="UTF-16"?>` + call("x"), UnsupportedEncoding, `"UTF-16"`},
		{"UTF-16, little endian", "\xFF\xFE<\x00a\x00/\x00>\x00", UnsupportedEncoding, "UTF-16"},
		{"UTF-16, big endian", "\xFE\xFF\x00<\x00a\x00/\x00>", UnsupportedEncoding, "UTF-16"},
		{"UTF-16 without a mark", "<\x00a\x00/\x00>\x00", UnsupportedEncoding, "UTF-16"},
		{"a mark and another encoding", "\xEF\xBB\xBF" + `<?xml version="1.0" encoding="iso-8859-1"?>` + call("x"), UnsupportedEncoding, "byte order mark"},
	})
}

func TestNotXMLRPC(t *testing.T) {
	bad := func(name, body, message string) refusal { return refusal{name, body, NotXMLRPC, message} }
	in := func(name, value, message string) refusal { return bad(name, call(value), message) }
	params := func(s string) string {
		return "<methodCall><methodName>m</methodName>" + s + "</methodCall>"
	}
	checkRefusals(t, []refusal{
		bad("another root", "<html/>", "the root element is not <methodCall> at byte 0"),
		bad("a response", "<methodResponse/>", "the root element is not <methodCall>"),
		bad("a root in another case", "<methodcall/>", "the root element is not <methodCall>"),
		bad("no method", "<methodCall/>", "an end tag where <methodName> should be"),
		bad("params first", "<methodCall><params/><methodName>m</methodName></methodCall>", "<params> where <methodName> should be at byte 12"),
		bad("an empty method", "<methodCall><methodName/></methodCall>", "a method's name"),
		bad("a method with a space", "<methodCall><methodName> m</methodName></methodCall>", "a method's name"),
		bad("a method with a hyphen", "<methodCall><methodName>a-b</methodName></methodCall>", "a method's name"),
		bad("a method beyond ASCII", "<methodCall><methodName>é</methodName></methodCall>", "a method's name"),
		bad("an element in a method", "<methodCall><methodName><b/></methodName></methodCall>", "<b> where the method's name should be"),
		bad("two methods", params("<methodName>n</methodName>"), "<methodName> where <params> should be"),
		bad("params twice", params("<params/><params/>"), "<params> where </methodCall> should be"),
		bad("text in params", params("<params>x</params>"), "character data where only elements may stand at byte 46"),
		bad("CDATA in params", params("<params><![CDATA[ ]]></params>"), "character data where only elements"),
		bad("a value in params", params("<params><value/></params>"), "<value> where <param> should be"),
		bad("an empty param", params("<params><param/></params>"), "an end tag where <value> should be"),
		bad("a type in param", params("<params><param><i4>1</i4></param></params>"), "<i4> where <value> should be"),
		bad("two values in a param", params("<params><param><value/><value/></param></params>"), "<value> where </param> should be"),
		bad("DOCTYPE", "<!DOCTYPE methodCall>"+call("x"), "document type declaration is refused at byte 0"),
		bad("a billion laughs", `<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>`+call("&c;"), "document type declaration is refused"),
		bad("an external entity", `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>`+call("&b;"), "document type declaration is refused"),
		bad("a processing instruction in front", "<?php echo 1 ?>"+call("x"), "processing instruction is refused at byte 0"),
		bad("a processing instruction behind", call("x")+"<?a?>", "processing instruction is refused"),
		in("a processing instruction in text", "a<?b c?>d", "processing instruction is refused"),
		in("a processing instruction between tags", "<struct><?b?></struct>", "processing instruction is refused"),
		bad("an attribute on the root", `<methodCall a="1"><methodName>m</methodName></methodCall>`, "attribute a: XML-RPC has no attributes at byte 12"),
		bad("another namespace on the root", `<methodCall xmlns:ex="http://example.com/"><methodName>m</methodName></methodCall>`, "attribute xmlns:ex"),
		in("an attribute", `<i4 a="1">1</i4>`, "XML-RPC has no attributes"),
		in("a namespace inside", `<ex:nil xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions"/>`, "XML-RPC has no attributes"),
		in("too many attributes", `<i4 a="" b="" c="" d="" e="" f="" g="" h="" i="" j="" k="" l="" m="" n="" o="" p="" q="">1</i4>`, "more than 16 attributes"),
		in("an unknown type", "<float>1</float>", "<float> where a type should be"),
		in("a type in another case", "<String>1</String>", "<String> where a type should be"),
		in("a type with another prefix", "<x:i8>1</x:i8>", "<x:i8> where a type should be"),
		in("a name beyond ASCII", "<é/>", "<é> where a type should be"),
		in("a value in a value", "<value>1</value>", "<value> where a type should be"),
		in("two types", "<i4>1</i4><i4>1</i4>", "<i4> where </value> should be"),
		in("text before a type", "a<i4>1</i4>", "character data beside an element"),
		in("text after a type", "<i4>1</i4>a", "character data where only elements"),
		in("an element in a string", "<string>a<b/></string>", "<b> where a string should be"),
		in("an element in an i8", "<i8><b/></i8>", "<b> where an i8 should be"),
		in("an element in a boolean", "<boolean><b/></boolean>", "<b> where a boolean should be"),
		in("an element in a double", "<double><b/></double>", "<b> where a double should be"),
		in("an element in a date", "<dateTime.iso8601><b/></dateTime.iso8601>", "<b> where a dateTime should be"),
		in("an element in base64", "<base64><b/></base64>", "<b> where base64 should be"),
		in("an element in an int", "<i4><b/></i4>", "<b> where an int should be"),
		in("something in nil", "<nil> </nil>", `" " is not nil, which is empty`),
		in("an int of 33 bits", "<int>2147483648</int>", "not an integer of 32 bits"),
		in("an int of -33 bits", "<i4>-2147483649</i4>", "not an integer of 32 bits"),
		in("an int that wraps 64 bits", "<i4>18446744073709551617</i4>", "not an integer of 32 bits"),
		in("an i8 of 65 bits", "<i8>9223372036854775808</i8>", "not an integer of 64 bits"),
		in("an i8 of -65 bits", "<i8>-9223372036854775809</i8>", "not an integer of 64 bits"),
		in("an empty int", "<int/>", `"" is not an integer`),
		in("a sign alone", "<int>-</int>", "not an integer"),
		in("two signs", "<int>+-1</int>", "not an integer"),
		in("a space in an int", "<int> 1</int>", "not an integer"),
		in("a point in an int", "<int>1.0</int>", "not an integer"),
		in("hexadecimal", "<int>0x10</int>", "not an integer"),
		in("a digit beyond ASCII", "<int>١</int>", "not an integer"),
		in("true", "<boolean>true</boolean>", "not a boolean"),
		in("boolean 2", "<boolean>2</boolean>", "not a boolean"),
		in("an empty boolean", "<boolean/>", "not a boolean"),
		in("NaN", "<double>NaN</double>", "not a finite double"),
		in("nan", "<double>nan</double>", "not a finite double"),
		in("Inf", "<double>-Inf</double>", "not a finite double"),
		in("infinity", "<double>infinity</double>", "not a finite double"),
		in("a double that overflows", "<double>1e309</double>", "not a finite double"),
		in("an empty double", "<double></double>", "not a finite double"),
		in("a point alone", "<double>.</double>", "not a finite double"),
		in("an exponent alone", "<double>1e</double>", "not a finite double"),
		in("two points", "<double>1.2.3</double>", "not a finite double"),
		in("a comma", "<double>1,5</double>", "not a finite double"),
		in("an underscore", "<double>1_0</double>", "not a finite double"),
		in("a hexadecimal double", "<double>0x1p4</double>", "not a finite double"),
		in("a space in a double", "<double>1 </double>", "not a finite double"),
		in("a date without time", "<dateTime.iso8601>19980717</dateTime.iso8601>", "not a dateTime"),
		in("29 February", "<dateTime.iso8601>19000229T00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("31 April", "<dateTime.iso8601>20240431T00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("month 13", "<dateTime.iso8601>20241301T00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("day 0", "<dateTime.iso8601>20240100T00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("hour 24", "<dateTime.iso8601>20240101T24:00:00</dateTime.iso8601>", "not a dateTime"),
		in("second 60", "<dateTime.iso8601>20240101T00:00:60</dateTime.iso8601>", "not a dateTime"),
		in("a date with one hyphen", "<dateTime.iso8601>2024-0101T00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("a date with a space", "<dateTime.iso8601>20240101 00:00:00</dateTime.iso8601>", "not a dateTime"),
		in("a date with an empty fraction", "<dateTime.iso8601>20240101T00:00:00.</dateTime.iso8601>", "not a dateTime"),
		in("a date with a bad zone", "<dateTime.iso8601>20240101T00:00:00+25:00</dateTime.iso8601>", "not a dateTime"),
		in("a date with junk", "<dateTime.iso8601>20240101T00:00:00Zx</dateTime.iso8601>", "not a dateTime"),
		in("a date before the year 0", "<dateTime.iso8601>00000101T00:00:00+01:00</dateTime.iso8601>", "not a dateTime"),
		in("a date after the year 9999", "<dateTime.iso8601>99991231T23:59:59-01:00</dateTime.iso8601>", "not a dateTime"),
		in("an empty date", "<dateTime.iso8601/>", "not a dateTime"),
		in("base64 beyond its alphabet", "<base64>A-_A</base64>", "is not base64 with padding"),
		in("base64 without padding", "<base64>AA</base64>", "is not base64 with padding"),
		in("base64 with little padding", "<base64>AA=</base64>", "is not base64 with padding"),
		in("base64 with much padding", "<base64>AAA==</base64>", "is not base64 with padding"),
		in("base64 with padding inside", "<base64>AA==AA==</base64>", "is not base64 with padding"),
		in("base64 with padding alone", "<base64>====</base64>", "is not base64 with padding"),
		in("base64 of one character", "<base64>A</base64>", "is not base64 with padding"),
		in("base64 with bits left over", "<base64>AB==</base64>", "is not base64 with padding"),
		in("base64 with bits left over in three", "<base64>AAB=</base64>", "is not base64 with padding"),
		in("a member twice", "<struct><member><name>a</name><value>1</value></member><member><name>b</name><value><struct/></value></member><member><name>&#97;</name><value>2</value></member></struct>", `member "a" stands twice`),
		in("a member without a name", "<struct><member><value/></member></struct>", "<value> where <name> should be"),
		in("a member without a value", "<struct><member><name>a</name></member></struct>", "an end tag where <value> should be"),
		in("a member with its value first", "<struct><member><value/><name>a</name></member></struct>", "<value> where <name> should be"),
		in("a member with two values", "<struct><member><name>a</name><value/><value/></member></struct>", "<value> where </member> should be"),
		in("an element in a name", "<struct><member><name><b/></name><value/></member></struct>", "<b> where a member's name should be"),
		in("text in a struct", "<struct>x</struct>", "character data where only elements"),
		in("a value in a struct", "<struct><value/></struct>", "<value> where <member> should be"),
		in("an array without data", "<array/>", "an end tag where <data> should be"),
		in("an array of values", "<array><value/></array>", "<value> where <data> should be"),
		in("an array with two data", "<array><data/><data/></array>", "<data> where </array> should be"),
		in("a type in data", "<array><data><i4>1</i4></data></array>", "<i4> where <value> should be"),
	})
}

func TestRefusedResponses(t *testing.T) {
	var d Document
	for _, c := range []struct {
		body    string
		message string
	}{
		{call("x"), "the root element is not <methodResponse>"},
		{"<methodResponse/>", "an end tag where <params> or <fault> should be"},
		{"<methodResponse><params>x</params></methodResponse>", "character data where only elements"},
		{"<methodResponse><params/></methodResponse>", "one parameter, not 0"},
		{"<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>", "one parameter, not 2"},
		{"<methodResponse><fault/></methodResponse>", "an end tag where <value> should be"},
		{"<methodResponse><fault><value>x</value></fault></methodResponse>", "a fault is a struct"},
		{"<methodResponse><fault><value><struct><member><name>faultCode</name><value>1</value></member><member><name>faultString</name><value>x</value></member></struct></value></fault></methodResponse>", "a fault is a struct"},
		{"<methodResponse><fault><value><struct><member><name>faultCode</name><value><i4>1</i4></value></member></struct></value></fault></methodResponse>", "a fault is a struct"},
		{"<methodResponse><params><param><value/></param></params><fault/></methodResponse>", "<fault> where </methodResponse> should be"},
	} {
		err := d.ParseResponse([]byte(c.body))
		if f, ok := err.(*Fault); !ok || f.Code != NotXMLRPC || !strings.Contains(f.Message, c.message) {
			t.Errorf("%s\ngot  %v\nwant %q", c.body, err, c.message)
		}
		if d.Fault() != nil || d.NumParams() != 0 {
			t.Errorf("%s\nleaves something behind", c.body)
		}
	}
}

// TestOffsets checks that an offset counts the bytes that came in.
func TestOffsets(t *testing.T) {
	f := fault(t, `<?xml version="1.0" encoding="iso-8859-1"?>`+call("\xE9\xE9\xE9 & x"))
	if want := "at byte 108"; !strings.HasSuffix(f.Message, want) {
		t.Errorf("got %q, want %q", f.Message, want)
	}
}
