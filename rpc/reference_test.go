package rpc

import (
	"bytes"
	"flag"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/API.md instead of comparing it")

const referencePath = "../docs/API.md"

// docs/API.md is what the registry says.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(referencePath, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, b.Bytes()) {
		t.Fatal("docs/API.md is not what the registry says; run go test ./rpc -run TestReference -update")
	}
}

// contractConstants reads the words of rpc/api whose names begin with prefix.
func contractConstants(t *testing.T, prefix string) map[string]constant.Value {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "api/api.go", nil, 0)
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
func TestReferenceIsWhole(t *testing.T) {
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
	for _, m := range registry(true) {
		if names[m.name] {
			t.Errorf("%s is in the registry twice", m.name)
		}
		names[m.name] = true
		for _, code := range m.faults {
			if !documented[code] {
				t.Errorf("%s: fault %d is not explained", m.name, code)
			}
		}
		if m.summary == "" || m.help == "" || len(m.signatures) == 0 || m.serve == nil {
			t.Errorf("%s: something is missing", m.name)
		}
		if len(m.request) > maxMembers {
			t.Errorf("%s takes %d members, more than maxMembers", m.name, len(m.request))
		}
		for _, list := range [][]member{m.request, m.reply} {
			for _, member := range list {
				if member.name == "" || member.doc == "" || member.kinds == 0 {
					t.Errorf("%s: member %q: something is missing", m.name, member.name)
				}
			}
		}
	}
	for name, value := range contractConstants(t, "Method") {
		if !names[constant.StringVal(value)] {
			t.Errorf("api.%s is not in the registry", name)
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
