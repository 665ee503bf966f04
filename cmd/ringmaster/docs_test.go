package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/web"
)

// Pages whose commands are run, in order, each against a trial system of its own.
//
// In a block of kind console, a line "$ command" is run and what follows it must come out, where … stands for any
// text and a line of only … for any lines. A block of kind sql is fed to `ringmaster sql`, in one transaction, and must succeed, unless a
// block of kind text follows at once: then that is what must come out. A block of kind psql is typed by the operator anna, whom an earlier block has made, into
// psql itself. A block of kind sh is what cannot be run here; it may hold
// make and export only.
var pagesToRun = []string{"README.md", "docs/OPERATORS.md"}

func TestPages(t *testing.T) {
	for _, page := range pagesToRun {
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../..", page))
			if err != nil {
				t.Fatal(err)
			}
			r := &reader{t: t, page: page, system: startTrial(t)}
			if r.rows, err = pgx.Connect(t.Context(), r.system.Database); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.rows.Close(context.Background()) })
			blocks := readBlocks(string(text))
			ran := 0
			for i, b := range blocks {
				switch b.kind {
				case "console":
					r.console(b)
					ran++
				case "sql", "psql":
					var want *block
					if i+1 < len(blocks) && blocks[i+1].kind == "text" && blocks[i+1].after == b.line+strings.Count(b.text, "\n") {
						want = &blocks[i+1]
					}
					if b.kind == "psql" {
						r.psql(b, want)
					} else {
						r.sql(b, want)
					}
					ran++
				case "sh":
					r.shell(b)
				}
			}
			if ran < 4 {
				t.Errorf("only %d blocks of %s were run: is the form of its blocks right?", ran, page)
			}
		})
	}
}

// block is a fenced block of a page.
type block struct {
	kind  string
	text  string
	line  int // of its first line
	after int // the line of the last text before it
}

func readBlocks(page string) []block {
	var blocks []block
	var open *block
	last := 0
	for i, line := range strings.Split(page, "\n") {
		switch {
		case open == nil && strings.HasPrefix(line, "```"):
			open = &block{kind: strings.TrimPrefix(line, "```"), line: i + 2, after: last}
		case open != nil && line == "```":
			blocks = append(blocks, *open)
			open, last = nil, i+1
		case open != nil:
			open.text += line + "\n"
		case strings.TrimSpace(line) != "":
			last = i + 1
		}
	}
	return blocks
}

// reader is somebody who follows a page.
type reader struct {
	t      *testing.T
	page   string
	system *trialSystem
	rows   *pgx.Conn
}

func (r *reader) fail(line int, format string, arguments ...any) {
	r.t.Helper()
	r.t.Errorf("%s:%d: %s", r.page, line, fmt.Sprintf(format, arguments...))
}

// ports puts the trial system's ports where the page has the default ones; pageful is the opposite.
func (r *reader) ports(text string) string {
	return strings.NewReplacer("127.0.0.1:8080", r.host(r.system.URL), "127.0.0.1:8081", r.host(r.system.Page)).Replace(text)
}

func (r *reader) host(url string) string {
	return strings.Split(strings.TrimPrefix(url, "http://"), "/")[0]
}

// run runs a command as in a terminal at the top of the repository.
func (r *reader) run(command string) (out string, err error) {
	r.settle()
	c := exec.Command("bash", "-o", "pipefail", "-c", r.ports(command))
	c.Dir = "../.."
	c.Env = append(os.Environ(), r.system.environment(r.t)...)
	text, err := c.CombinedOutput()
	return string(text), err
}

// settle waits until the engine serves what is committed: a person is slower than that.
func (r *reader) settle() {
	r.t.Helper()
	var committed int64
	if err := r.rows.QueryRow(r.t.Context(), "SELECT revision FROM config_revision").Scan(&committed); err != nil {
		r.t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		response, err := http.Get(r.system.Page + "page/status")
		if err != nil {
			r.t.Fatal(err)
		}
		var status web.Status
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if err := json.Unmarshal(body, &status); err != nil {
			r.t.Fatal(err)
		}
		if status.Revision == committed {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the engine serves revision %d and %d is committed", status.Revision, committed)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (r *reader) console(b block) {
	r.t.Helper()
	lines := strings.Split(strings.TrimSuffix(b.text, "\n"), "\n")
	for i := 0; i < len(lines); {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			r.fail(b.line+i, "a console block begins with a command: $ …")
			return
		}
		at := b.line + i
		for i++; strings.HasSuffix(command, "\\") && i < len(lines); i++ {
			command = strings.TrimSuffix(command, "\\") + strings.TrimSpace(lines[i])
		}
		first := i
		for i < len(lines) && !strings.HasPrefix(lines[i], "$ ") {
			i++
		}
		out, err := r.run(command)
		if first == i {
			if err != nil {
				r.fail(at, "%s: %v\n%s", command, err, out)
			}
			continue
		}
		if !matches(lines[first:i], out) {
			r.fail(at, "%s\nwant:\n%s\ngot:\n%s", command, strings.Join(lines[first:i], "\n"), out)
		}
	}
}

func (r *reader) sql(b block, want *block) {
	r.t.Helper()
	r.settle()
	file := filepath.Join(r.t.TempDir(), "recipe.sql")
	if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	c := exec.Command("ringmaster", "sql", "-f", file, "--", "--quiet")
	c.Env = append(os.Environ(), r.system.environment(r.t)...)
	text, err := c.CombinedOutput()
	r.compare(b, want, string(text), err)
}

// psql is what an operator types who has nothing else.
func (r *reader) psql(b block, want *block) {
	r.t.Helper()
	address, err := url.Parse(r.system.Database)
	if err != nil {
		r.t.Fatal(err)
	}
	address.User = url.User("anna")
	file := filepath.Join(r.t.TempDir(), "typed.sql")
	if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	c := exec.Command("psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", address.String(), "--file", file)
	c.Env = append(os.Environ(), "PAGER=")
	text, err := c.CombinedOutput()
	r.compare(b, want, string(text), err)
}

// compare compares what came of a block with the page.
func (r *reader) compare(b block, want *block, text string, err error) {
	r.t.Helper()
	out := regexp.MustCompile(`(?m)^psql:[^ ]*: `).ReplaceAllString(text, "")
	switch {
	case want == nil && err != nil:
		r.fail(b.line, "%v\n%s", err, out)
	case want != nil && !matches(strings.Split(strings.TrimSuffix(want.text, "\n"), "\n"), out):
		r.fail(b.line, "want:\n%s\ngot:\n%s", want.text, out)
	}
}

// shell checks that what is not run here exists.
func (r *reader) shell(b block) {
	r.t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(b.text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0, words[0] == "export", strings.HasPrefix(line, "#"):
		case words[0] == "make":
			for _, target := range words[1:] {
				if !strings.HasPrefix(target, "#") && !strings.Contains(string(makefile), "\n"+target+":") {
					r.fail(b.line, "the Makefile has no target %q", target)
				}
				if strings.HasPrefix(target, "#") {
					break
				}
			}
		default:
			r.fail(b.line, "%q is not run by any test; make it a console block", strings.TrimSpace(line))
		}
	}
}

// matches compares output with what a page says of it.
func matches(want []string, out string) bool {
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	var pattern strings.Builder
	for _, line := range want {
		line = strings.TrimRight(line, " ")
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	return regexp.MustCompile(`\A` + pattern.String() + `\n*\z`).MatchString(strings.Join(lines, "\n") + "\n")
}

// TestReaderCanFail: a page that is wrong is found out.
func TestReaderCanFail(t *testing.T) {
	for _, test := range []struct {
		want, out string
		match     bool
	}{
		{"a\nb", "a\nb\n", true},
		{"a\n…\nz", "a\nb\nc\nz\n", true},
		{"…\nz", "z\n", true},
		{"revision …: fine", "revision 12: fine\n", true},
		{"a", "a\nb\n", false},
		{"a\n…\nz", "a\nb\n", false},
		{"a.c", "abc\n", false},
	} {
		if got := matches(strings.Split(test.want, "\n"), test.out); got != test.match {
			t.Errorf("%q against %q: %v", test.want, test.out, got)
		}
	}
	blocks := readBlocks("text\n```console\n$ one\nout\n```\n\n```sql\nSELECT 1;\n```\n```text\n1\n```\nmore\n")
	kinds := []string{}
	for _, b := range blocks {
		kinds = append(kinds, fmt.Sprintf("%s@%d after %d", b.kind, b.line, b.after))
	}
	if want := []string{"console@3 after 1", "sql@8 after 5", "text@11 after 9"}; !slices.Equal(kinds, want) {
		t.Errorf("blocks %q, want %q", kinds, want)
	}
}

// TestPagesNameWhatExists: links, and file names in backticks, lead somewhere.
func TestPagesNameWhatExists(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	path := regexp.MustCompile("`((?:agi|cmd|deploy|docs|e2e|logic|migrations|rpc|store|testdata|web)/[A-Za-z0-9_./*-]+)`")
	for _, page := range []string{"README.md", "docs/OPERATORS.md", "docs/ARCHITECTURE.md"} {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			named = append(named, filepath.Join(filepath.Dir(page), found[1]))
		}
		for _, found := range path.FindAllStringSubmatch(string(text), -1) {
			named = append(named, found[1])
		}
		if len(named) < 3 {
			t.Errorf("%s names only %d files: is the pattern right?", page, len(named))
		}
		for _, name := range named {
			if files, err := filepath.Glob(filepath.Join("../..", name)); err != nil || len(files) == 0 {
				t.Errorf("%s names %s, which isn't there", page, name)
			}
		}
	}
}
