package contract_test

import (
	"strings"
	"testing"

	"ringmaster/rpc/api"
	"ringmaster/rpc/contract"
	"ringmaster/rpc/wire"
)

// samples has a value of each type, as XML.
var samples = map[wire.Kind]string{
	wire.Int: "<int>1</int>", wire.Boolean: "<boolean>1</boolean>", wire.String: "<string>x</string>", wire.Double: "<double>1.5</double>",
	wire.DateTime: "<dateTime.iso8601>20260401T12:00:00</dateTime.iso8601>", wire.Base64: "<base64>AA==</base64>",
	wire.Struct: "<struct></struct>", wire.Array: "<array><data></data></array>", wire.Nil: "<nil/>",
}

// sampleOf gives a value that a set of types has.
func sampleOf(t *testing.T, kinds contract.Kinds) string {
	t.Helper()
	for k, sample := range samples {
		if kinds.String() == k.String() || strings.HasPrefix(kinds.String(), k.String()+" or ") {
			return sample
		}
	}
	t.Fatalf("no sample of %s", kinds)
	return ""
}

// parameters parses values, given as XML, as the parameters of a document.
func parameters(t testing.TB, values ...string) contract.Parameters {
	t.Helper()
	body := "<methodCall><methodName>x</methodName><params>"
	for _, v := range values {
		body += "<param><value>" + v + "</value></param>"
	}
	document := new(wire.Document)
	if err := document.ParseCall([]byte(body + "</params></methodCall>")); err != nil {
		t.Fatal(err)
	}
	return contract.Parameters{Document: document}
}

// structOf writes a struct of names and values in turn.
func structOf(pairs ...string) string {
	text := "<struct>"
	for i := 0; i < len(pairs); i += 2 {
		text += "<member><name>" + pairs[i] + "</name><value>" + pairs[i+1] + "</value></member>"
	}
	return text + "</struct>"
}

// method finds a method by its name.
func method(t testing.TB, name string) *contract.Method {
	t.Helper()
	for _, m := range contract.Methods(true) {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no method %s", name)
	return nil
}

// refused checks that a fault is −32602 and says all of the words; without words, that there is none.
func refused(t *testing.T, what string, fault *wire.Fault, words ...string) {
	t.Helper()
	switch {
	case fault == nil && len(words) > 0:
		t.Errorf("%s: is taken, must be refused", what)
	case fault == nil:
	case len(words) == 0:
		t.Errorf("%s: %v", what, fault)
	case fault.Code != api.FaultInvalidParameters:
		t.Errorf("%s: fault %d", what, fault.Code)
	}
	for _, word := range words {
		if fault != nil && !strings.Contains(fault.Message, word) {
			t.Errorf("%s: %q does not say %q", what, fault.Message, word)
		}
	}
}

// Each method that takes a struct gets every member at its index, in whatever order they come; it refuses a struct
// without one that is required, and one of another type.
func TestBindTakesWhatIsDescribed(t *testing.T) {
	for _, m := range contract.Methods(true) {
		if m.Request == nil {
			continue
		}
		var forward, backward []string
		for _, member := range m.Request {
			forward = append(forward, member.Name, sampleOf(t, member.Kinds))
			backward = append([]string{member.Name, sampleOf(t, member.Kinds)}, backward...)
		}
		var want contract.Values
		p := parameters(t, structOf(forward...))
		for i, member := range m.Request {
			want[i], _ = p.At(0).Member(member.Name)
		}
		var values contract.Values
		refused(t, m.Name, m.Bind(p, &values))
		if values != want {
			t.Errorf("%s: %v, want %v", m.Name, values, want)
		}
		p = parameters(t, structOf(backward...))
		refused(t, m.Name+" backwards", m.Bind(p, &values))
		for i, member := range m.Request {
			if got, _ := p.At(0).Member(member.Name); values[i] != got {
				t.Errorf("%s backwards: another value at %s", m.Name, member.Name)
			}
		}
		for i, member := range m.Request {
			without := append(append([]string{}, forward[:2*i]...), forward[2*i+2:]...)
			fault := m.Bind(parameters(t, structOf(without...)), &values)
			if member.Required {
				refused(t, m.Name, fault, "member "+member.Name+": is missing")
			} else if refused(t, m.Name, fault); values[i].Kind() != wire.Invalid {
				t.Errorf("%s: %s is absent, and has a value that was there before", m.Name, member.Name)
			}
			wrong := append([]string{}, forward...)
			wrong[2*i+1] = samples[wire.Nil]
			refused(t, m.Name, m.Bind(parameters(t, structOf(wrong...)), &values), "member "+member.Name+": is nil, must be "+member.Kinds.String())
		}
		refused(t, m.Name+" without a parameter", m.Bind(parameters(t), &values), "wrong number of parameters: 0")
		refused(t, m.Name+" with two", m.Bind(parameters(t, structOf(forward...), structOf()), &values), "wrong number of parameters: 2")
		refused(t, m.Name+" with a string", m.Bind(parameters(t, samples[wire.String]), &values), "is string, must be struct")
	}
}

// The indexes mean the members that they are named after.
func TestIndexes(t *testing.T) {
	for name, want := range map[string]map[int]string{
		api.MethodCallStart:       {contract.StartCallID: api.CallID, contract.StartNode: api.Node, contract.StartTrunk: api.Trunk},
		api.MethodCallReport:      {contract.ReportSession: api.Session, contract.ReportResults: api.Results},
		api.MethodCallEnd:         {contract.EndSession: api.Session, contract.EndTalk: api.TalkSeconds, contract.EndFallback: api.Fallback},
		api.MethodNumberTranslate: {contract.TranslateCaller: api.Caller, contract.TranslateAt: api.At},
		api.MethodAccountBalance:  {contract.AccountName: api.Account},
		api.MethodAccountRecharge: {contract.AccountName: api.Account, contract.AccountVoucher: api.Voucher},
		api.MethodNodeHeartbeat:   {contract.NodeName: api.Node, contract.NodeTalking: api.Talking},
	} {
		m := method(t, name)
		for i, word := range want {
			if m.Request[i].Name != word {
				t.Errorf("%s: member %d is %s, want %s", name, i, m.Request[i].Name, word)
			}
		}
	}
}

// A newer agent's members are ignored, known types of the same member are both taken, and elements of a multicall are
// bound as documents are.
func TestBind(t *testing.T) {
	translate := method(t, api.MethodNumberTranslate)
	var values contract.Values
	called := []string{api.Called, samples[wire.String]}
	refused(t, "a newer agent", translate.Bind(parameters(t, structOf(append([]string{"colour", samples[wire.Nil]}, called...)...)), &values))
	if values[contract.TranslateCalled].Text() != "x" {
		t.Errorf("called is %q", values[contract.TranslateCalled].Text())
	}
	for _, at := range []wire.Kind{wire.String, wire.DateTime} {
		refused(t, at.String(), translate.Bind(parameters(t, structOf(append([]string{api.At, samples[at]}, called...)...)), &values))
		if values[contract.TranslateAt].Kind() != at {
			t.Errorf("at is %s, want %s", values[contract.TranslateAt].Kind(), at)
		}
	}
	refused(t, "another type", translate.Bind(parameters(t, structOf(append([]string{api.At, samples[wire.Int]}, called...)...)), &values),
		"member at: is int, must be string or dateTime.iso8601")

	array := func(elements ...string) contract.Parameters {
		return contract.Parameters{Array: parameters(t, "<array><data><value>"+strings.Join(elements, "</value><value>")+"</value></data></array>").At(0)}
	}
	refused(t, "in a multicall", translate.Bind(array(structOf(called...)), &values))
	refused(t, "two in a multicall", translate.Bind(array(structOf(called...), structOf()), &values), "wrong number of parameters: 2")
}

func TestBindResult(t *testing.T) {
	var values contract.Values
	element := func(value string) wire.Value { return parameters(t, value).At(0) }
	refused(t, "a result", contract.BindResult(element(structOf(api.Status, "answer", api.TalkSeconds, samples[wire.Double], api.Op, "connect")), &values))
	if values[contract.ResultOp].Text() != "connect" || values[contract.ResultStatus].Text() != "answer" || values[contract.ResultTalk].Double() != 1.5 {
		t.Errorf("bound: %v", values)
	}
	refused(t, "no status", contract.BindResult(element(structOf(api.Op, "play")), &values), "member status: is missing")
	refused(t, "no struct", contract.BindResult(element(samples[wire.Int]), &values), "is int, must be struct")
}

func TestTakes(t *testing.T) {
	for _, c := range []struct {
		what   string
		values []string
		want   []wire.Kind
		words  []string
	}{
		{"nothing", nil, nil, nil},
		{"what it takes", []string{samples[wire.String], samples[wire.Array]}, []wire.Kind{wire.String, wire.Array}, nil},
		{"one for nothing", []string{samples[wire.String]}, nil, []string{"wrong number of parameters: 1; the method takes 0"}},
		{"nothing for one", nil, []wire.Kind{wire.String}, []string{"wrong number of parameters: 0; the method takes 1"}},
		{"another type", []string{samples[wire.String], samples[wire.Int]}, []wire.Kind{wire.String, wire.Array}, []string{"parameter 2: is int, must be array"}},
	} {
		refused(t, c.what, parameters(t, c.values...).Takes(c.want...), c.words...)
	}
}

// Binding allocates nothing: it runs once for each query.
func TestBindAllocations(t *testing.T) {
	m := method(t, api.MethodCallStart)
	p := parameters(t, structOf(api.CallID, "node-a-1", api.Node, "node-a", api.Called, "08001"))
	values := new(contract.Values)
	if got := testing.AllocsPerRun(100, func() {
		if fault := m.Bind(p, values); fault != nil {
			t.Fatal(fault)
		}
	}); got > 0 {
		t.Errorf("binding allocates %v times", got)
	}
}
