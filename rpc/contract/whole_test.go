package contract

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// contractConstants reads the words of rpc/api whose names begin with prefix.
func contractConstants(t *testing.T, prefix string) map[string]constant.Value {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../api/api.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]constant.Value)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, prefix) {
			return true
		}
		negative := false
		value := spec.Values[0]
		if unary, ok := value.(*ast.UnaryExpr); ok {
			negative, value = true, unary.X
		}
		literal := value.(*ast.BasicLit)
		v := constant.MakeFromLiteral(literal.Value, literal.Kind, 0)
		if negative {
			v = constant.UnaryOp(token.SUB, v, 0)
		}
		found[spec.Names[0].Name] = v
		return true
	})
	if len(found) == 0 {
		t.Fatalf("rpc/api has no constants %s…", prefix)
	}
	return found
}

// Whatever the contract has a word for is explained, and whatever is explained is in the contract.
func TestContractIsWhole(t *testing.T) {
	documented := make(map[int]bool)
	for _, f := range faultDocs {
		if documented[f.code] {
			t.Errorf("fault %d is explained twice", f.code)
		}
		documented[f.code] = true
	}
	faults := contractConstants(t, "Fault")
	for name, value := range faults {
		if code, _ := strconv.Atoi(value.ExactString()); !documented[code] {
			t.Errorf("api.%s (%d) is not in faultDocs", name, code)
		}
	}
	if len(documented) != len(faults) {
		t.Errorf("%d faults are explained, rpc/api has %d", len(documented), len(faults))
	}

	names := make(map[string]bool)
	for _, m := range Methods(true) {
		if names[m.Name] {
			t.Errorf("%s is listed twice", m.Name)
		}
		names[m.Name] = true
		for _, code := range m.Faults {
			if !documented[code] {
				t.Errorf("%s: fault %d is not explained", m.Name, code)
			}
		}
		if m.Summary == "" || m.Help == "" || len(m.Signatures) == 0 {
			t.Errorf("%s: something is missing", m.Name)
		}
		if len(m.Request) > maxMembers {
			t.Errorf("%s takes %d members, more than maxMembers", m.Name, len(m.Request))
		}
		for _, list := range [][]Member{m.Request, m.Reply} {
			for _, member := range list {
				if member.Name == "" || member.Doc == "" || member.Kinds == 0 {
					t.Errorf("%s: member %q: something is missing", m.Name, member.Name)
				}
			}
		}
	}
	for name, value := range contractConstants(t, "Method") {
		if !names[constant.StringVal(value)] {
			t.Errorf("api.%s is not among the methods", name)
		}
	}

	operations := make(map[string]bool)
	for _, in := range instructionDocs {
		operations[in.op] = true
	}
	for name, value := range contractConstants(t, "Op") {
		if name != "Op" && !operations[constant.StringVal(value)] {
			t.Errorf("api.%s is not in instructionDocs", name)
		}
	}
}
