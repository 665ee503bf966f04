package wire

import "testing"

func TestAllocations(t *testing.T) {
	body := []byte(query)
	var d Document
	var n int
	parse := func() {
		if err := d.ParseCall(body); err != nil {
			t.Fatal(err)
		}
	}
	var w Writer
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"parse a call.start", parse},
		{"parse a call.start and read it", func() {
			parse()
			p := d.Param(0)
			caller, _ := p.Member("caller")
			n += len(caller.Bytes())
			for name, v := range p.Members() {
				n += len(name) + len(v.Bytes()) + int(v.Int())
			}
		}},
		{"encode a response", func() { w.Reset(); encodeReply(&w) }},
		{"encode a fault", func() { w.Reset(); w.Fault(NotXMLRPC, "no <such> thing") }},
	} {
		c.run() // warm the buffers
		if got := testing.AllocsPerRun(100, c.run); got != 0 {
			t.Errorf("%s: %v allocations, want 0", c.name, got)
		}
	}
}
