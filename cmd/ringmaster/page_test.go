package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/store"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
	"ringmaster/web"
)

// TestPageWithoutPostgres: an engine whose Postgres is frozen goes on deciding, and its page says what is wrong.
func TestPageWithoutPostgres(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	address := postgres.DSN("postgres")
	if err := store.Migrate(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{demo.SQL, "INSERT INTO node (node) VALUES ('n1')", `UPDATE step SET parameters = '{"condition": "nonsense"}' WHERE script = 'freephone' AND step = 'hours'`} {
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(t.Context())

	engine := exec.Command("ringmaster", "serve", "--database", address, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	engine.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := engine.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	page := ""
	for lines := bufio.NewScanner(out); page == "" && lines.Scan(); {
		page = strings.TrimSpace(strings.TrimPrefix(lines.Text(), "page"))
		if !strings.HasPrefix(lines.Text(), "page") {
			page = ""
		}
	}
	t.Cleanup(func() {
		postgres.Thaw()
		_ = engine.Process.Signal(os.Interrupt)
		if err := engine.Wait(); err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	if page == "" {
		t.Fatal("the engine says no page")
	}
	get := func(path string, into any) int {
		t.Helper()
		response, err := http.Get(page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("%s: %v: %s", path, err, body)
		}
		return response.StatusCode
	}
	var status web.Status
	wait := func(what string, good func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			status = web.Status{}
			if get("page/status", &status) == http.StatusOK && good() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: not so: %+v", what, status)
			}
		}
	}
	wait("ready, with nodes and problems", func() bool {
		return status.Ready && len(status.Nodes) == 1 && len(status.Problems) > 0 && len(status.Warnings) == 0
	})

	postgres.Freeze()
	wait("a warning that nodes are not known", func() bool {
		return len(status.Warnings) > 0 && strings.Contains(status.Warnings[0], "Nodes are not known")
	})
	if !status.Ready || len(status.Problems) == 0 || len(status.Sizes) == 0 {
		t.Errorf("what the engine knows by itself is missing: %+v", status)
	}
	wait("a warning that the configuration may be old", func() bool {
		return strings.Contains(strings.Join(status.Warnings, "\n"), "Postgres has not confirmed the configuration")
	})
	var explanation web.Explanation
	if code := get("page/explain?called=09005550100", &explanation); code != http.StatusOK || explanation.Service != "citybank_vault" {
		t.Errorf("explain: %d, %+v", code, explanation)
	}
	var refusal struct{ Error string }
	if code := get("page/calls?limit=5", &refusal); code != http.StatusServiceUnavailable || !strings.Contains(refusal.Error, "couldn't read cdr") {
		t.Errorf("calls: %d, %+v", code, refusal)
	}

	postgres.Thaw()
	wait("all is well again", func() bool { return len(status.Warnings) == 0 && len(status.Nodes) == 1 })
}

// TestAnEngineSaysWhyItsSavedConfigIsOfNoUse: without Postgres, and with a file of something else.
func TestAnEngineSaysWhyItsSavedConfigIsOfNoUse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("something else, of more than a few bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{DSN: "postgres:///x?host=/nonexistent", Engine: "test", SnapshotFile: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	feed := s.NewFeed(time.LoadLocation)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = feed.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for deadline := time.Now().Add(patience); feed.SavedError() == nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if said := strings.Join(configWarnings(feed), " "); !strings.Contains(said, "No configuration has been loaded yet") || !strings.Contains(said, file+" isn't a saved config of this version") {
		t.Errorf("it says %q", said)
	}
}
