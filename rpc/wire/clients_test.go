package wire

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kolo/xmlrpc"
	"pgregory.net/rapid"
)

// TestKolo compares with github.com/kolo/xmlrpc, an XML-RPC client that has
// nothing in common with this package. It has no base64 and no nil, does not
// escape names, writes every integer as <int>, and reads an empty string or
// struct as nil; encoding/xml below it makes a line feed of a carriage return
// that is written as it is. So the values are chosen around that.
func TestKolo(t *testing.T) {
	plainText := rapid.Map(text(), func(s string) string { return strings.ReplaceAll(s, "\r", "") })
	name := rapid.StringMatching(`[a-z_]{1,12}`)
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		leaves := []*rapid.Generator[any]{
			rapid.Map(rapid.Int32(), func(i int32) any { return int64(i) }), rapid.Bool().AsAny(), plainText.AsAny(),
			finite().AsAny(), date().AsAny(),
		}
		if depth <= 1 {
			return rapid.OneOf(leaves...)
		}
		return rapid.OneOf(append(leaves,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(name, value(depth-1), 0, 4), func(m map[string]any) any { return m }))...)
	}
	var d Document
	t.Run("kolo writes", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := value(4).Draw(t, "value")
			body, err := xmlrpc.EncodeMethodCall("m.n", want)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.ParseCall(body); err != nil {
				t.Fatalf("%v: %q", err, body)
			}
			if string(d.Method()) != "m.n" || d.NumParams() != 1 {
				t.Fatalf("got %s with %d parameters", d.Method(), d.NumParams())
			}
			equal(t, plainGo(read(d.Param(0))), want, body)
		})
	})
	t.Run("kolo reads", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := value(4).Draw(t, "value")
			var w Writer
			w.BeginResponse()
			write(&w, ordered(want))
			w.EndResponse()
			var got any
			response := xmlrpc.Response(w.Buf)
			if err := response.Err(); err != nil {
				t.Fatalf("%v: %q", err, w.Buf)
			}
			if err := response.Unmarshal(&got); err != nil {
				t.Fatalf("%v: %q", err, w.Buf)
			}
			equal(t, got, emptyNil(want), w.Buf)
		})
	})
	t.Run("kolo reads a fault", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			want := xmlrpc.FaultError{Code: int(rapid.Int32().Draw(t, "code")), String: plainText.Draw(t, "message")}
			var w Writer
			w.Fault(want.Code, want.String)
			equal(t, xmlrpc.Response(w.Buf).Err(), want, w.Buf)
		})
	})
}

// emptyNil puts nil for empty strings and structs.
func emptyNil(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case map[string]any:
		if len(v) == 0 {
			return map[string]any(nil)
		}
		for name := range v {
			v[name] = emptyNil(v[name])
		}
	case []any:
		for i := range v {
			v[i] = emptyNil(v[i])
		}
	}
	return value
}

// plainGo turns objects and lists into maps and slices.
func plainGo(value any) any {
	switch v := value.(type) {
	case object:
		m := map[string]any{}
		for _, member := range v {
			m[member.name] = plainGo(member.value)
		}
		return m
	case list:
		l := make([]any, len(v))
		for i := range v {
			l[i] = plainGo(v[i])
		}
		return l
	}
	return value
}

// ordered is the inverse of plainGo.
func ordered(value any) any {
	switch v := value.(type) {
	case map[string]any:
		o := object{}
		for name, value := range v {
			o = append(o, member{name, ordered(value)})
		}
		return o
	case []any:
		l := list{}
		for _, element := range v {
			l = append(l, ordered(element))
		}
		return l
	}
	return value
}

// TestPython has Python's xmlrpc.client read values and write them again. It
// has no integers of 64 bits and no year 0 to write, and writes a carriage
// return as it is.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: nothing to compare with")
	}
	const script = `
import struct, sys, xmlrpc.client as x
data = sys.stdin.buffer.read()
at = 0
while at < len(data):
    n, = struct.unpack_from(">I", data, at)
    params, method = x.loads(data[at+4:at+4+n], use_builtin_types=True)
    body = x.dumps(params, method, allow_none=True, encoding="utf-8").encode()
    sys.stdout.buffer.write(struct.pack(">I", len(body)) + body)
    at += 4 + n
`
	var values []any
	var stdin bytes.Buffer
	for seed := range 1000 {
		value := forPython(tree(4).Example(seed))
		var w Writer
		w.BeginCall("m.n")
		w.BeginParam()
		write(&w, value)
		w.EndParam()
		w.EndCall()
		values = append(values, value)
		stdin.Write(binary.BigEndian.AppendUint32(nil, uint32(len(w.Buf))))
		stdin.Write(w.Buf)
	}
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin = &stdin
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 could not read what we write: %v", err)
	}
	var d Document
	for i, want := range values {
		if len(out) < 4 {
			t.Fatalf("python3 wrote %d calls of %d", i, len(values))
		}
		n := 4 + int(binary.BigEndian.Uint32(out))
		body := out[4:n]
		out = out[n:]
		if err := d.ParseCall(body); err != nil {
			t.Fatalf("%v: %q", err, body)
		}
		if string(d.Method()) != "m.n" || d.NumParams() != 1 {
			t.Fatalf("got %s with %d parameters", d.Method(), d.NumParams())
		}
		equal(t, read(d.Param(0)), want, body)
	}
}

// forPython makes a value one that Python can write.
func forPython(value any) any {
	switch v := value.(type) {
	case int64:
		return int64(int32(v))
	case string:
		return strings.ReplaceAll(v, "\r", "")
	case time.Time:
		if v.Year() == 0 {
			return v.AddDate(4, 0, 0)
		}
	case object:
		var o = object{}
		names := map[string]bool{}
		for _, m := range v {
			name := strings.ReplaceAll(m.name, "\r", "")
			if !names[name] {
				o = append(o, member{name, forPython(m.value)})
			}
			names[name] = true
		}
		return o
	case list:
		l := list{}
		for _, element := range v {
			l = append(l, forPython(element))
		}
		return l
	}
	return value
}
