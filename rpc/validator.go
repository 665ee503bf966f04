package rpc

import (
	"math"

	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// stooge reads an int member of a validator's struct.
func stooge(v wire.Value, name string) (int64, *wire.Fault) {
	m, _ := v.Member(name)
	if m.Kind() != wire.Int {
		return 0, contract.Invalid("member %s: must be int, is %s", name, m.Kind())
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
		return 0, contract.Invalid("the result is beyond 32 bits")
	}
	return a + b, nil
}

func (s *Server) arrayOfStructsTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Array); fault != nil {
		return fault
	}
	var sum int64
	for v := range p.At(0).Elements() {
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

func (s *Server) countTheEntities(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.String); fault != nil {
		return fault
	}
	var count [256]int64
	for _, c := range p.At(0).Bytes() {
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

func (s *Server) easyStructTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Struct); fault != nil {
		return fault
	}
	sum, fault := stooges(p.At(0))
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Int(sum)
	return nil
}

func (s *Server) echoStructTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Struct); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Value(p.At(0))
	return nil
}

func (s *Server) manyTypesTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Int, wire.Boolean, wire.String, wire.Double, wire.DateTime, wire.Base64); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for i := range p.Len() {
		w.Value(p.At(i))
	}
	w.EndArray()
	return nil
}

func (s *Server) moderateSizeArrayCheck(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Array); fault != nil {
		return fault
	}
	list := p.At(0)
	first, last := list.Index(0), list.Index(list.Len()-1)
	if first.Kind() != wire.String || last.Kind() != wire.String {
		return contract.Invalid("parameter 1: must be an array of strings")
	}
	q.phase(phaseDecode)
	q.writer.String(first.Text() + last.Text())
	return nil
}

func (s *Server) nestedStructTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Struct); fault != nil {
		return fault
	}
	year, _ := p.At(0).Member("2000")
	month, _ := year.Member("04")
	day, ok := month.Member("01")
	if !ok {
		return contract.Invalid("parameter 1: has no day 2000, 04, 01")
	}
	sum, fault := stooges(day)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.Int(sum)
	return nil
}

func (s *Server) simpleStructReturnTest(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(wire.Int); fault != nil {
		return fault
	}
	n := p.At(0).Int()
	if n > math.MaxInt32/1000 || n < math.MinInt32/1000 {
		return contract.Invalid("the result is beyond 32 bits")
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
