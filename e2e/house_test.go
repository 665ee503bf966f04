package e2e_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "ringmaster"

// TestHouse holds the tree against the house's rules.
func TestHouse(t *testing.T) {
	for _, problem := range inspect(t, os.DirFS("..")) {
		t.Error(problem)
	}
}

// source is one Go file.
type source struct {
	path  string
	test  bool
	lines int
	tree  *ast.File
}

// inspect returns everything in a tree that is against a rule, each with what to do about it.
func inspect(t *testing.T, tree fs.FS) []string {
	t.Helper()
	h := &house{files: token.NewFileSet(), packages: make(map[string][]source)}
	h.topLevel(tree)
	h.modules(tree)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return h.folder(name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(h.files, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		folder := path.Dir(name)
		h.packages[folder] = append(h.packages[folder], source{name, strings.HasSuffix(name, "_test.go"),
			strings.Count(string(text), "\n"), parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder, sources := range h.packages {
		h.sizes(folder, sources)
		shipped := slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.test })
		if len(shipped) == 0 {
			continue
		}
		h.document(folder, shipped)
		h.arrows(folder, shipped)
		h.state(shipped)
		if h.charter(folder).standard == pureStandard {
			h.purity(shipped)
		}
	}
	slices.Sort(h.problems)
	return h.problems
}

// house gathers what is wrong.
type house struct {
	files    *token.FileSet
	packages map[string][]source
	problems []string
}

func (h *house) wrong(where, format string, args ...any) {
	h.problems = append(h.problems, where+": "+fmt.Sprintf(format, args...))
}

func (h *house) at(pos token.Pos) string {
	position := h.files.Position(pos)
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

func (h *house) topLevel(tree fs.FS) {
	entries, _ := fs.ReadDir(tree, ".")
	for _, entry := range entries {
		if !slices.Contains(topLevel, entry.Name()) {
			h.wrong(entry.Name(), "this name isn't on the list of the root; put it into one of the folders that are there, or add it to topLevel in e2e/house_rules_test.go and say why in docs/ARCHITECTURE.md")
		}
	}
}

func (h *house) folder(name string) error {
	base := path.Base(name)
	switch {
	case name == ".":
	case slices.Contains([]string{".git", "bin", "tmp", ".cache"}, base):
		return fs.SkipDir
	case slices.Contains(forbiddenFolders, base):
		h.wrong(name, "the name %q says nothing; name the folder after what it is", base)
	}
	return nil
}

// modules compares go.mod's direct requirements with the settled list.
func (h *house) modules(tree fs.FS) {
	text, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		h.wrong("go.mod", "couldn't be read: %v", err)
		return
	}
	var found []string
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			inside = true
			continue
		case line == ")":
			inside = false
		case strings.HasPrefix(line, "require "):
			line = strings.TrimPrefix(line, "require ")
		case strings.HasPrefix(line, "replace"):
			h.wrong("go.mod", "replace isn't allowed: a clone must build what everybody builds")
			continue
		case !inside:
			continue
		}
		if fields := strings.Fields(line); len(fields) >= 2 && !strings.Contains(line, "// indirect") {
			found = append(found, fields[0])
		}
	}
	for _, name := range found {
		if !slices.Contains(settledModules, name) {
			h.wrong("go.mod", "%s isn't a settled dependency; do without, or add it to settledModules in e2e/house_rules_test.go and say why in the commit", name)
		}
	}
	for _, name := range settledModules {
		if !slices.Contains(found, name) {
			h.wrong("go.mod", "%s is settled and isn't required; take it off settledModules in e2e/house_rules_test.go if nothing needs it any more", name)
		}
	}
}

func (h *house) sizes(folder string, sources []source) {
	total := 0
	for _, s := range sources {
		if ast.IsGenerated(s.tree) {
			continue
		}
		if s.lines > maxFileLines {
			h.wrong(s.path, "%d lines; a file has at most %d: it holds two ideas, split it", s.lines, maxFileLines)
		}
		if s.test {
			continue
		}
		total += s.lines
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterfaceMethods {
				h.wrong(h.at(i.Pos()), "an interface of %d methods; at most %d: ask for less, or split it by consumer", i.Methods.NumFields(), maxInterfaceMethods)
			}
			return true
		})
	}
	if total > maxPackageLines {
		h.wrong(folder, "%d lines without tests; a package has at most %d: split it by what it is about", total, maxPackageLines)
	}
}

// document wants one package comment, in one file.
func (h *house) document(folder string, sources []source) {
	var documented []source
	for _, s := range sources {
		if s.tree.Doc != nil {
			documented = append(documented, s)
		}
	}
	switch len(documented) {
	case 0:
		h.wrong(folder, "no package comment; say in one file what the package is and what it is not")
		return
	case 1:
	default:
		h.wrong(documented[1].path, "a second package comment, the first is in %s; keep one", documented[0].path)
	}
	name, want := documented[0].tree.Name.Name, ""
	if want = "Package " + name + " "; name == "main" {
		want = "Command " + path.Base(folder) + " "
	}
	if !strings.HasPrefix(documented[0].tree.Doc.Text(), want) {
		h.wrong(documented[0].path, "the package comment must begin with %q", want)
	}
}

// charter finds a package's line, and for one without a line what stands for its folder.
func (h *house) charter(folder string) charter {
	if c, ok := charters[folder]; ok {
		return c
	}
	for name, c := range charters {
		if prefix, ok := strings.CutSuffix(name, "*"); ok && (strings.HasPrefix(folder, prefix) || folder+"/" == prefix) {
			return c
		}
	}
	return charter{}
}

func (h *house) arrows(folder string, sources []source) {
	if folder == "." {
		h.wrong("the root", "has Go files; there is no root package: move them into a folder")
		return
	}
	c := h.charter(folder)
	if c.standard == noStandard && c.own == nil && c.modules == nil {
		if _, ok := charters[folder]; !ok {
			h.wrong(folder, "a package without a charter; add a line to charters in e2e/house_rules_test.go, or put the code into a package that is there")
			return
		}
	}
	for _, s := range sources {
		for _, spec := range s.tree.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			own, isOwn := strings.CutPrefix(name, module+"/")
			switch first, _, _ := strings.Cut(name, "/"); {
			case isOwn:
				if !allowed(c.own, own, false) {
					h.wrong(h.at(spec.Pos()), "%s may not import %s (arrows of charters in e2e/house_rules_test.go); declare the interface you need here and let cmd/ join the two", folder, own)
				}
			case strings.Contains(first, "."):
				if !allowed(c.modules, name, true) {
					h.wrong(h.at(spec.Pos()), "%s may not import %s (arrows of charters in e2e/house_rules_test.go)", folder, name)
				}
			case slices.Contains(c.also, name):
			case c.standard == noStandard, c.standard == pureStandard && !slices.Contains(pureImports, name):
				h.wrong(h.at(spec.Pos()), "%s may not import %s of the standard library: it does no I/O and reads no clock; let the caller give it what it needs", folder, name)
			}
		}
	}
}

// allowed says whether a list of names covers one. A module covers the packages inside it.
func allowed(list []string, name string, isModule bool) bool {
	for _, entry := range list {
		prefix, wild := strings.CutSuffix(entry, "*")
		if name == entry || wild && strings.HasPrefix(name, prefix) || isModule && !wild && strings.HasPrefix(name, entry+"/") {
			return true
		}
	}
	return false
}

// purity finds what a function of its arguments has no use for.
func (h *house) purity(sources []source) {
	for _, s := range sources {
		named := make(map[string]string) // name in this file → import path
		for _, spec := range s.tree.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			name := path.Base(p)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			named[name] = p
			if name == "." {
				h.wrong(h.at(spec.Pos()), "a dot import hides what the package uses; import it by name")
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				h.wrong(h.at(n.Pos()), "a goroutine in a pure package; let the caller decide what runs at once")
			case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				h.wrong(h.at(n.Pos()), "a channel in a pure package; return a value")
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if ok && x.Obj == nil && slices.Contains(impure[named[x.Name]], n.Sel.Name) {
					h.wrong(h.at(n.Pos()), "%s.%s in a pure package; take what it would say as an argument", x.Name, n.Sel.Name)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Obj == nil && (f.Name == "print" || f.Name == "println") {
					h.wrong(h.at(n.Pos()), "%s in a pure package; return a value", f.Name)
				}
			}
			return true
		})
	}
}

// state finds package variables that can change. Exempt by rule: errors (errors.New, fmt.Errorf), compiled regular
// expressions and replacers, what sync.OnceValue computes, dates, types of cel-go, embedded files, literals and tables (composite literals, or what a function of the package
// makes of nothing), as long as nothing in the package assigns to them; and var _, which is a check.
func (h *house) state(sources []source) {
	variables := make(map[string]bool)
	for _, s := range sources {
		for _, declaration := range s.tree.Decls {
			d, ok := declaration.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					if name.Name == "_" || embeds(d.Doc) || embeds(v.Doc) {
						continue
					}
					variables[name.Name] = true
					if len(v.Values) != len(v.Names) || !constant(v.Values[i]) || locks(v.Type) {
						h.wrong(h.at(name.Pos()), "package variable %s can change; make it a constant, a field, or what the rule in house.state exempts", name.Name)
					}
				}
			}
		}
	}
	for _, s := range sources {
		packageLevel := func(e ast.Expr) (*ast.Ident, bool) {
			for {
				switch x := e.(type) {
				case *ast.IndexExpr:
					e = x.X
				case *ast.SelectorExpr:
					e = x.X
				case *ast.ParenExpr:
					e = x.X
				case *ast.StarExpr:
					e = x.X
				case *ast.Ident:
					if x.Obj != nil && s.tree.Scope.Lookup(x.Name) != x.Obj {
						return nil, false // a local of the same name
					}
					return x, variables[x.Name]
				default:
					return nil, false
				}
			}
		}
		report := func(e ast.Expr) {
			if name, ok := packageLevel(e); ok {
				h.wrong(h.at(e.Pos()), "%s is a package variable and is changed here; keep state in a value that its user owns", name.Name)
			}
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, left := range n.Lhs {
						report(left)
					}
				}
			case *ast.IncDecStmt:
				report(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					report(n.X)
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
					report(n.Args[0])
				}
			}
			return true
		})
	}
}

// unchanging lists the functions whose result stays as it is.
var unchanging = []string{
	"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "sync.OnceValue", "sync.OnceValues", "time.Date", "cel.OpaqueType",
}

func embeds(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

// constant says whether an initialiser makes something that stays as it is unless it is assigned to.
func constant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.CompositeLit:
		lit, ok := e.(*ast.CompositeLit)
		return !ok || !locks(lit.Type)
	case *ast.BinaryExpr:
		return constant(e.X) && constant(e.Y)
	case *ast.Ident:
		return e.Name == "true" || e.Name == "false"
	case *ast.CallExpr:
		switch f := e.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := f.X.(*ast.Ident)
			return ok && slices.Contains(unchanging, x.Name+"."+f.Sel.Name)
		case *ast.Ident, *ast.FuncLit:
			return len(e.Args) == 0 || isConversion(f)
		case *ast.ArrayType:
			return true // []byte("…")
		}
	}
	return false
}

func isConversion(f ast.Expr) bool {
	name, ok := f.(*ast.Ident)
	return ok && (name.Name == "string" || name.Name == "int" || name.Name == "int64")
}

// locks says whether a type comes from sync or sync/atomic.
func locks(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && (x.Name == "sync" || x.Name == "atomic")
}

// TestArchitectureNamesEveryPackage: who changes Ringmaster finds each package in the table of docs/ARCHITECTURE.md.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range charters {
		files, _ := fs.Glob(os.DirFS(".."), name+"/*.go")
		if len(files) > 0 && !strings.HasSuffix(name, "*") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/ARCHITECTURE.md doesn't say what package %s is: give it a line in the table of packages", name)
		}
	}
}

// TestHouseCanFail shows for each rule a tree that breaks it, and one that keeps them all.
func TestHouseCanFail(t *testing.T) {
	goMod := "module ringmaster\n\nrequire (\n\t" + strings.Join(settledModules, " v1.0.0\n\t") + " v1.0.0\n)\n"
	many := strings.Repeat("// line\n", maxFileLines)
	tests := []struct {
		name, path, text string
		want             string // part of the one problem; empty: none
	}{
		{"clean", "logic/x.go", "// Package logic is.\npackage logic\n\nimport (\n\t\"time\"\n\n\t\"ringmaster/logic/prefix\"\n)\n\nvar table = map[string]int{}\n\nvar _ = prefix.X\n\nfunc f(table []int, t time.Time) { table[0] = 1 }\n", ""},
		{"arrow", "rpc/x.go", "// Package rpc is.\npackage rpc\n\nimport _ \"ringmaster/store\"\n", "rpc may not import store"},
		{"arrow to a sub-package", "logic/prefix/x.go", "// Package prefix is.\npackage prefix\n\nimport _ \"ringmaster/logic\"\n", "may not import logic"},
		{"module", "logic/x.go", "// Package logic is.\npackage logic\n\nimport _ \"github.com/jackc/pgx/v5/pgxpool\"\n", "may not import github.com/jackc"},
		{"module's package", "store/x.go", "// Package store is.\npackage store\n\nimport _ \"github.com/jackc/pgx/v5/pgxpool\"\n", ""},
		{"not even std", "rpc/api/x.go", "// Package api is.\npackage api\n\nimport _ \"time\"\n", "may not import time"},
		{"impure import", "logic/x.go", "// Package logic is.\npackage logic\n\nimport _ \"math/rand\"\n", "may not import math/rand"},
		{"context", "logic/x.go", "// Package logic is.\npackage logic\n\nimport _ \"context\"\n", "may not import context"},
		{"clock", "logic/x.go", "// Package logic is.\npackage logic\n\nimport clock \"time\"\n\nfunc f() clock.Time { return clock.Now() }\n", "clock.Now in a pure package"},
		{"goroutine", "logic/tariff/x.go", "// Package tariff is.\npackage tariff\n\nfunc f() { go f() }\n", "a goroutine"},
		{"channel", "logic/x.go", "// Package logic is.\npackage logic\n\nfunc f(c chan int) {}\n", "a channel"},
		{"dot import", "logic/x.go", "// Package logic is.\npackage logic\n\nimport . \"strings\"\n", "a dot import"},
		{"no charter", "billing/x.go", "// Package billing is.\npackage billing\n", "without a charter|isn't on the list of the root"},
		{"root package", "x.go", "// Package ringmaster is.\npackage ringmaster\n", "no root package|isn't on the list of the root"},
		{"empty name", "logic/util/x.go", "// Package util is.\npackage util\n", "says nothing|without a charter"},
		{"no doc", "web/x.go", "package web\n", "no package comment"},
		{"odd doc", "web/x.go", "// The page.\npackage web\n", "must begin with \"Package web \""},
		{"odd command doc", "cmd/ringmaster/x.go", "// Package main is.\npackage main\n", "must begin with \"Command ringmaster \""},
		{"variable", "web/x.go", "// Package web is.\npackage web\n\nvar count int\n", "package variable count can change"},
		{"pointer", "web/x.go", "// Package web is.\npackage web\n\nvar x = &T{}\n\ntype T struct{}\n", "package variable x can change"},
		{"lock", "web/x.go", "// Package web is.\npackage web\n\nimport \"sync\"\n\nvar x = sync.Mutex{}\n", "package variable x can change"},
		{"made elsewhere", "web/x.go", "// Package web is.\npackage web\n\nimport \"os\"\n\nvar x = os.Getenv(\"X\")\n", "package variable x can change"},
		{"changed table", "web/x.go", "// Package web is.\npackage web\n\nvar t = [2]int{}\n\nfunc f() { t[0]++ }\n", "t is a package variable and is changed here"},
		{"assigned error", "web/x.go", "// Package web is.\npackage web\n\nimport \"errors\"\n\nvar ErrX = errors.New(\"x\")\n\nfunc f() { ErrX = nil }\n", "is changed here"},
		{"error", "web/x.go", "// Package web is.\npackage web\n\nimport \"errors\"\n\n// ErrX is.\nvar ErrX = errors.New(\"x\")\n", ""},
		{"long file", "web/x.go", "// Package web is.\npackage web\n\n" + many, "split it"},
		{"wide interface", "web/x.go", "// Package web is.\npackage web\n\ntype X interface{ A(); B(); C(); D(); E(); F(); G() }\n", "an interface of 7 methods"},
		{"module list", "go.mod", strings.Replace(goMod, "require (\n", "require (\n\texample.org/left-pad v1.0.0\n", 1), "example.org/left-pad isn't a settled dependency"},
		{"module missing", "go.mod", strings.Replace(goMod, "\tpgregory.net/rapid v1.0.0\n", "", 1), "pgregory.net/rapid is settled and isn't required"},
		{"indirect", "go.mod", strings.Replace(goMod, "require (\n", "require (\n\texample.org/left-pad v1.0.0 // indirect\n", 1), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tree := fstest.MapFS{"go.mod": {Data: []byte(goMod)}, test.path: {Data: []byte(test.text)}}
			problems := inspect(t, tree)
			var wants []string
			if test.want != "" {
				wants = strings.Split(test.want, "|")
			}
			if len(problems) != len(wants) {
				t.Fatalf("%d problems, want %d: %q", len(problems), len(wants), problems)
			}
			for _, want := range wants {
				if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
					t.Errorf("no problem says %q: %q", want, problems)
				}
			}
		})
	}
}

// TestHousePackageSize shows the rule that needs several files.
func TestHousePackageSize(t *testing.T) {
	tree := fstest.MapFS{"go.mod": {Data: []byte("module ringmaster\n\nrequire (\n\t" + strings.Join(settledModules, " v1.0.0\n\t") + " v1.0.0\n)\n")},
		"web/doc.go": {Data: []byte("// Package web is.\npackage web\n")}}
	for i := range maxPackageLines/(maxFileLines-10) + 1 {
		tree[fmt.Sprintf("web/x%d.go", i)] = &fstest.MapFile{Data: []byte("package web\n" + strings.Repeat("// line\n", maxFileLines-10))}
	}
	problems := inspect(t, tree)
	if len(problems) != 1 || !strings.Contains(problems[0], "split it by what it is about") {
		t.Fatalf("problems: %q", problems)
	}
	tree["web/doc2.go"] = &fstest.MapFile{Data: []byte("// Package web is.\npackage web\n")}
	if problems := inspect(t, tree); len(problems) != 2 {
		t.Errorf("a second package comment isn't seen: %q", problems)
	}
}
