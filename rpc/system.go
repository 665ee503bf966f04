package rpc

import (
	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

func (s *Server) listMethods(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for _, m := range s.methods {
		w.String(m.Name)
	}
	w.EndArray()
	return nil
}

// named finds the method that a parameter names.
func (s *Server) named(p contract.Parameters) (*method, *wire.Fault) {
	if fault := p.Takes(wire.String); fault != nil {
		return nil, fault
	}
	m := s.byName[string(p.At(0).Bytes())]
	if m == nil {
		return nil, noSuchMethod(p.At(0).Bytes())
	}
	return m, nil
}

func (s *Server) methodSignature(q *query, p contract.Parameters) *wire.Fault {
	m, fault := s.named(p)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for _, signature := range m.Signatures {
		w.BeginArray()
		for _, word := range signature {
			w.String(word)
		}
		w.EndArray()
	}
	w.EndArray()
	return nil
}

func (s *Server) methodHelp(q *query, p contract.Parameters) *wire.Fault {
	m, fault := s.named(p)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.String(m.HelpText())
	return nil
}

func (s *Server) getCapabilities(q *query, p contract.Parameters) *wire.Fault {
	if fault := p.Takes(); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginStruct()
	for _, c := range []struct {
		name, url string
		version   int64
	}{
		{"xmlrpc", "http://xmlrpc.com/spec.md", 1},
		{"faults_interop", "http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", 20010516},
		{"introspection", "http://xmlrpc-c.sourceforge.net/introspection.html", 1},
		{"system.multicall", "http://mirrors.talideon.com/articles/multicall.html", 1},
	} {
		w.BeginMember(c.name)
		w.BeginStruct()
		w.MemberString("specUrl", c.url)
		w.MemberInt("specVersion", c.version)
		w.EndStruct()
		w.EndMember()
	}
	w.EndStruct()
	return nil
}

// multicall answers each element as a query of its own: with its own budget, its own fault and its own place in
// the metrics. The multicall itself is counted as one query more.
func (s *Server) multicall(q *query, p contract.Parameters) *wire.Fault {
	if q.nested {
		return &wire.Fault{Code: api.FaultMulticall, Message: "a multicall inside a multicall"}
	}
	if fault := p.Takes(wire.Array); fault != nil {
		return fault
	}
	calls := p.At(0)
	if calls.Len() > contract.MaxMulticall {
		return &wire.Fault{Code: api.FaultMulticall, Message: "a multicall holds at most 64 calls"}
	}
	meter, began := q.meter, q.began
	q.phase(phaseDecode)
	q.nested = true
	w := &q.writer
	w.BeginArray()
	for element := range calls.Elements() {
		q.meter, q.began = s.unparsed, q.mark
		start := len(w.Buf)
		w.BeginArray()
		fault := s.element(q, element)
		w.EndArray()
		if fault != nil {
			w.Buf = w.Buf[:start]
			w.FaultValue(fault.Code, fault.Message)
		}
		q.finish(fault)
	}
	w.EndArray()
	q.meter, q.began, q.nested = meter, began, false
	return nil
}

// element answers one call of a multicall.
func (s *Server) element(q *query, element wire.Value) *wire.Fault {
	name, _ := element.Member("methodName")
	list, _ := element.Member("params")
	switch {
	case element.Kind() != wire.Struct:
		return contract.Invalid("a call in a multicall is a struct {methodName, params}, not %s", element.Kind())
	case name.Kind() != wire.String:
		return contract.Invalid("member methodName: must be string, is %s", name.Kind())
	case list.Kind() != wire.Array:
		return contract.Invalid("member params: must be array, is %s", list.Kind())
	}
	m := s.byName[string(name.Bytes())]
	if m == nil {
		return noSuchMethod(name.Bytes())
	}
	q.meter = s.metrics.methods[m.Name]
	return s.call(q, m, contract.Parameters{Array: list})
}
