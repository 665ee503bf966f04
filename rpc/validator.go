package rpc

import (
	"math"

	"ringmaster/rpc/wire"
)

// validatorMethods are UserLand's validator suite (xmlrpc.com, "validator1"), by which any client can be checked
// against the server.
func validatorMethods() []*method {
	line := func(name, summary string, serve func(*Server, *query, params) *wire.Fault, signature ...string) *method {
		return &method{
			name: "validator1." + name, summary: summary, help: "Part of UserLand's validator1 suite; served with --validator only.",
			signatures: [][]string{signature}, serve: serve,
		}
	}
	return []*method{
		line("arrayOfStructsTest", "Adds the members curly of an array of structs.", (*Server).arrayOfStructsTest, "int", "array"),
		line("countTheEntities", "Counts <, >, &, ' and \" in a string.", (*Server).countTheEntities, "struct", "string"),
		line("easyStructTest", "Adds the members moe, larry and curly of a struct.", (*Server).easyStructTest, "int", "struct"),
		line("echoStructTest", "Returns the struct it got.", (*Server).echoStructTest, "struct", "struct"),
		line("manyTypesTest", "Returns its six parameters as an array.", (*Server).manyTypesTest,
			"array", "int", "boolean", "string", "double", "dateTime.iso8601", "base64"),
		line("moderateSizeArrayCheck", "Concatenates the first and the last of an array of strings.", (*Server).moderateSizeArrayCheck, "string", "array"),
		line("nestedStructTest", "Adds moe, larry and curly of 1 April 2000 in a calendar of structs.", (*Server).nestedStructTest, "int", "struct"),
		line("simpleStructReturnTest", "Returns a number times 10, 100 and 1000.", (*Server).simpleStructReturnTest, "struct", "int"),
	}
}

// stooge reads an int member of a validator's struct.
func stooge(v wire.Value, name string) (int64, *wire.Fault) {
	m, _ := v.Member(name)
	if m.Kind() != wire.Int {
		return 0, invalid("member %s: must be int, is %s", name, m.Kind())
	}
	return m.Int(), nil
}

func stooges(v wire.Value) (sum int64, fault *wire.Fault) {
	for _, name := range [...]string{"moe", "larry", "curly"} {
		n, fault := stooge(v, name)
		if fault != nil {
			return 0, fault
		}
		if sum, fault = add(sum, n); fault != nil {
			return 0, fault
		}
	}
	return sum, nil
}

// add keeps a sum within what an i4 carries, for that is what clients read.
func add(a, b int64) (int64, *wire.Fault) {
	if b > math.MaxInt32 || b < math.MinInt32 || a+b > math.MaxInt32 || a+b < math.MinInt32 {
		return 0, invalid("the result is beyond 32 bits")
	}
	return a + b, nil
}

func (s *Server) arrayOfStructsTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Array); fault != nil {
		return fault
	}
	var sum int64
	for v := range p.at(0).Elements() {
		n, fault := stooge(v, "curly")
		if fault != nil {
			return fault
		}
		if sum, fault = add(sum, n); fault != nil {
			return fault
		}
	}
	q.phase(phaseDecode)
	q.writer.Int(sum)
	return nil
}

func (s *Server) countTheEntities(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.String); fault != nil {
		return fault
	}
	var count [256]int64
	for _, c := range p.at(0).Bytes() {
		count[c]++
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginStruct()
	w.MemberInt("ctLeftAngleBrackets", count['<'])
	w.MemberInt("ctRightAngleBrackets", count['>'])
	w.MemberInt("ctAmpersands", count['&'])
	w.MemberInt("ctApostrophes", count['\''])
	w.MemberInt("ctQuotes", count['"'])
	w.EndStruct()
	return nil
}

func (s *Server) easyStructTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Struct); fault != nil {
		return fault
	}
	sum, fault := stooges(p.at(0))
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Int(sum)
	return nil
}

func (s *Server) echoStructTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Struct); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Value(p.at(0))
	return nil
}

func (s *Server) manyTypesTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Int, wire.Boolean, wire.String, wire.Double, wire.DateTime, wire.Base64); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for i := range p.len() {
		w.Value(p.at(i))
	}
	w.EndArray()
	return nil
}

func (s *Server) moderateSizeArrayCheck(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Array); fault != nil {
		return fault
	}
	list := p.at(0)
	first, last := list.Index(0), list.Index(list.Len()-1)
	if first.Kind() != wire.String || last.Kind() != wire.String {
		return invalid("parameter 1: must be an array of strings")
	}
	q.phase(phaseDecode)
	q.writer.String(first.Text() + last.Text())
	return nil
}

func (s *Server) nestedStructTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Struct); fault != nil {
		return fault
	}
	year, _ := p.at(0).Member("2000")
	month, _ := year.Member("04")
	day, ok := month.Member("01")
	if !ok {
		return invalid("parameter 1: has no day 2000, 04, 01")
	}
	sum, fault := stooges(day)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Int(sum)
	return nil
}

func (s *Server) simpleStructReturnTest(q *query, p params) *wire.Fault {
	if fault := p.takes(wire.Int); fault != nil {
		return fault
	}
	n := p.at(0).Int()
	if n > math.MaxInt32/1000 || n < math.MinInt32/1000 {
		return invalid("the result is beyond 32 bits")
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginStruct()
	w.MemberInt("times10", n*10)
	w.MemberInt("times100", n*100)
	w.MemberInt("times1000", n*1000)
	w.EndStruct()
	return nil
}
