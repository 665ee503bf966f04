package rpc

import (
	"ringmaster/rpc/api"
	"ringmaster/rpc/wire"
)

// MaxMulticall is how many calls one system.multicall may hold.
const MaxMulticall = 64

func systemMethods() []*method {
	return []*method{
		{
			name:       api.MethodListMethods,
			summary:    "Lists the methods' names.",
			help:       "XML-RPC introspection.",
			signatures: [][]string{{"array"}},
			serve:      (*Server).listMethods,
		},
		{
			name:       api.MethodMethodSignature,
			summary:    "Says which types a method takes and returns.",
			help:       "XML-RPC introspection: takes a method's name, returns an array of signatures, each an array of types, the returned one first.",
			signatures: [][]string{{"array", "string"}},
			serve:      (*Server).methodSignature,
		},
		{
			name:       api.MethodMethodHelp,
			summary:    "Explains a method.",
			help:       "XML-RPC introspection: takes a method's name, returns text.",
			signatures: [][]string{{"string", "string"}},
			serve:      (*Server).methodHelp,
		},
		{
			name:       api.MethodGetCapabilities,
			summary:    "Says which conventions the server follows.",
			help:       "Returns a struct with a member for each convention, a struct of specUrl and specVersion.",
			signatures: [][]string{{"struct"}},
			serve:      (*Server).getCapabilities,
		},
		{
			name:    api.MethodMulticall,
			summary: "Makes several calls in one request.",
			help: "Takes an array of at most 64 structs {methodName, params}; returns an array with, for each call in order, an array of its one result, or the " +
				"struct of its fault. Each call is a query of its own, with a budget of its own. A multicall inside a multicall is fault 108, as are too many calls.",
			signatures: [][]string{{"array", "array"}},
			faults:     []int{api.FaultMulticall},
			serve:      (*Server).multicall,
		},
	}
}

func (s *Server) listMethods(q *query, p params) *wire.Fault {
	if fault := p.takes(); fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for _, m := range s.methods {
		w.String(m.name)
	}
	w.EndArray()
	return nil
}

// named finds the method that a parameter names.
func (s *Server) named(p params) (*method, *wire.Fault) {
	if fault := p.takes(wire.String); fault != nil {
		return nil, fault
	}
	m := s.byName[string(p.at(0).Bytes())]
	if m == nil {
		return nil, noSuchMethod(p.at(0).Bytes())
	}
	return m, nil
}

func (s *Server) methodSignature(q *query, p params) *wire.Fault {
	m, fault := s.named(p)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	w := &q.writer
	w.BeginArray()
	for _, signature := range m.signatures {
		w.BeginArray()
		for _, word := range signature {
			w.String(word)
		}
		w.EndArray()
	}
	w.EndArray()
	return nil
}

func (s *Server) methodHelp(q *query, p params) *wire.Fault {
	m, fault := s.named(p)
	if fault != nil {
		return fault
	}
	q.phase(phaseDecode)
	q.writer.String(helpText(m))
	return nil
}

func (s *Server) getCapabilities(q *query, p params) *wire.Fault {
	if fault := p.takes(); fault != nil {
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
func (s *Server) multicall(q *query, p params) *wire.Fault {
	if q.nested {
		return &wire.Fault{Code: api.FaultMulticall, Message: "a multicall inside a multicall"}
	}
	if fault := p.takes(wire.Array); fault != nil {
		return fault
	}
	calls := p.at(0)
	if calls.Len() > MaxMulticall {
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
		return invalid("a call in a multicall is a struct {methodName, params}, not %s", element.Kind())
	case name.Kind() != wire.String:
		return invalid("member methodName: must be string, is %s", name.Kind())
	case list.Kind() != wire.Array:
		return invalid("member params: must be array, is %s", list.Kind())
	}
	m := s.byName[string(name.Bytes())]
	if m == nil {
		return noSuchMethod(name.Bytes())
	}
	q.meter = s.metrics.methods[m.name]
	return s.call(q, m, params{array: list})
}
