package wire

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"
)

// query is a call.start as the agent sends it, with a struct of six members.
const query = `<?xml version="1.0"?>
<methodCall><methodName>call.start</methodName><params><param><value><struct>` +
	`<member><name>call_id</name><value><string>node7-1732361400.000042</string></value></member>` +
	`<member><name>node</name><value><string>node7</string></value></member>` +
	`<member><name>channel</name><value><string>PJSIP/trunk-00000a3c</string></value></member>` +
	`<member><name>caller</name><value><string>41446681800</string></value></member>` +
	`<member><name>called</name><value><string>0800123456</string></value></member>` +
	`<member><name>presentation</name><value><i4>0</i4></value></member>` +
	`</struct></value></param></params></methodCall>` + "\n"

func BenchmarkParseCall(b *testing.B) {
	body := []byte(query)
	var d Document
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.ParseCall(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseCallRead is BenchmarkParseCall and a look at every member.
func BenchmarkParseCallRead(b *testing.B) {
	body := []byte(query)
	var d Document
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := d.ParseCall(body); err != nil {
			b.Fatal(err)
		}
		for name, v := range d.Param(0).Members() {
			n += len(name) + len(v.Bytes()) + int(v.Int())
		}
	}
}

func BenchmarkParseCallEncodingXML(b *testing.B) {
	body := []byte(query)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		dec := xml.NewDecoder(bytes.NewReader(body))
		for {
			if _, err := dec.RawToken(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func encodeReply(w *Writer) {
	w.BeginResponse()
	w.BeginStruct()
	w.MemberString("session", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8w")
	w.MemberString("action", "connect")
	w.MemberString("trunk", "office")
	w.MemberString("number", "41446681801")
	w.MemberInt("timeout", 20)
	w.MemberInt("max_seconds", 3600)
	w.MemberInt("revision", 42)
	w.MemberBoolean("final", false)
	w.EndStruct()
	w.EndResponse()
}

func BenchmarkEncodeResponse(b *testing.B) {
	var w Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		encodeReply(&w)
	}
	b.SetBytes(int64(len(w.Buf)))
}

func BenchmarkEncodeResponseEncodingXML(b *testing.B) {
	type member struct {
		Name   string `xml:"name"`
		String string `xml:"value>string,omitempty"`
		Int    *int   `xml:"value>i4"`
	}
	type response struct {
		XMLName xml.Name `xml:"methodResponse"`
		Members []member `xml:"params>param>value>struct>member"`
	}
	n := 20
	r := response{Members: []member{
		{Name: "session", String: "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8w"},
		{Name: "action", String: "connect"}, {Name: "trunk", String: "office"}, {Name: "number", String: "41446681801"},
		{Name: "timeout", Int: &n}, {Name: "max_seconds", Int: &n}, {Name: "revision", Int: &n}, {Name: "final", Int: &n},
	}}
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := xml.NewEncoder(&buf).Encode(r); err != nil {
			b.Fatal(err)
		}
	}
}
