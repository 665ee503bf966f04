package store_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
)

// engine opens a store that saves its config in a file.
func engine(t *testing.T, dsn, file string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{DSN: dsn, Engine: "test", SnapshotFile: file, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// run runs a feed until the returned function is called.
func run(t *testing.T, s *store.Store) (f *store.Feed, stop func()) {
	t.Helper()
	f = s.NewFeed(time.LoadLocation)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return f, stop
}

// saveDemo makes a file of the demo carrier and of edits, and returns what its engine served before each.
func saveDemo(t *testing.T, dsn, file string, edits ...string) []*logic.Snapshot {
	t.Helper()
	f, stop := run(t, engine(t, dsn, file))
	defer stop()
	live(t, f, dsn)
	served := []*logic.Snapshot{f.Snapshot()}
	for _, sql := range edits {
		mustExec(t, dsn, sql)
		live(t, f, dsn)
		served = append(served, f.Snapshot())
	}
	return served
}

// nowhere is the address of no server.
const nowhere = "postgres:///x?host=/nonexistent"

func TestEngineStartsWithoutPostgres(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	mustExec(t, dsn, `UPDATE script_parameter SET default_value = '' WHERE script = 'freephone' AND type = 'text'`)
	file := filepath.Join(t.TempDir(), "config")
	served := saveDemo(t, dsn, file, "INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a long enough secret')",
		"UPDATE service_parameter SET value = 'always' WHERE service = 'acme_freephone' AND parameter = 'hours'",
		`UPDATE step SET parameters = '{"condition": "open("}' WHERE script = 'freephone' AND step = 'hours'`,
		"DELETE FROM service_number WHERE service = 'acme_hotline'")
	last := served[len(served)-1]
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("file %v, %v", info, err)
	}
	proxy := storetest.NewProxy(t, dsn)
	proxy.Mute() // Postgres doesn't answer
	s := engine(t, proxy.DSN(), file)
	f, _ := run(t, s)
	if err := f.Wait(within(t), 1); err != nil {
		t.Fatal(err)
	}
	same(t, "from disk", f.Snapshot(), last)
	if !f.FromDisk() || f.Age() <= 0 {
		t.Errorf("from disk: %v, age %v", f.FromDisk(), f.Age())
	}
	// It is back, and was edited meanwhile: one edit to the saved config.
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n2')")
	proxy.Heal()
	proxy.Cut()
	live(t, f, dsn)
	await(t, func() bool { return !f.FromDisk() })
	if _, ok := f.Snapshot().Node("n2"); !ok {
		t.Error("the edit isn't live")
	}
}

func TestSavedConfigSurvivesACrashWhileItIsWritten(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	file := filepath.Join(t.TempDir(), "config")
	saveDemo(t, dsn, file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	served := saveDemo(t, dsn, file, "INSERT INTO node (node) VALUES ('n1')", "INSERT INTO node (node) VALUES ('n2')")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	serves := func(text []byte) *logic.Snapshot {
		t.Helper()
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		f, stop := run(t, engine(t, nowhere, file))
		defer stop()
		if err := f.Wait(within(t), 1); err != nil {
			t.Fatal(err)
		}
		return f.Snapshot()
	}
	same(t, "all", serves(text), served[2])
	same(t, "the last edit by half", serves(text[:len(text)-1]), served[1])
	spoilt := append([]byte(nil), text...)
	spoilt[len(text)-10] ^= 1
	same(t, "a spoilt byte", serves(spoilt), served[1])
	same(t, "both edits gone", serves(text[:len(whole)+(len(text)-len(whole))/4]), served[0])
	for name, text := range map[string][]byte{"nothing": nil, "half": text[:len(whole)/2], "something else": []byte(strings.Repeat("else ", 1000))} {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		f, stop := run(t, engine(t, nowhere, file))
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := f.Wait(short, 1); err == nil || f.Ready() {
			t.Errorf("%s: it serves", name)
		}
		cancel()
		await(t, func() bool { return f.SavedError() != nil })
		if text := f.SavedError().Error(); !strings.Contains(text, file) {
			t.Errorf("%s: %s", name, text)
		}
		stop()
	}
}

// TestASavedConfigThatLacksAnEditIsAsOldAsWhatIsLeft: the time of the file is that of the edit that is missing.
func TestASavedConfigThatLacksAnEditIsAsOldAsWhatIsLeft(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	loadDemo(t, dsn)
	file := filepath.Join(t.TempDir(), "config")
	saveDemo(t, dsn, file, "INSERT INTO node (node) VALUES ('n1')")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	age := func(text []byte) time.Duration {
		t.Helper()
		torn := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(torn, text, 0o600); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour) // as if what is left was written an hour before
		if err := os.Chtimes(torn, later, later); err != nil {
			t.Fatal(err)
		}
		f, stop := run(t, engine(t, nowhere, torn))
		defer stop()
		if err := f.Wait(within(t), 1); err != nil {
			t.Fatal(err)
		}
		return f.Age()
	}
	began := time.Now()
	if whole := age(text); whole > time.Since(began) {
		t.Errorf("a whole file is %v old", whole)
	}
	torn := age(text[:len(text)-1])
	if saved := time.Since(began); torn < saved {
		t.Errorf("a torn file is %v old, and was written more than %v ago", torn, saved)
	}
	// What a crash had left of an edit is gone when something is written over it, however long it was.
	if err := os.WriteFile(file, append(text[:len(text)-20:len(text)-20], make([]byte, 1<<16)...), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := storetest.NewProxy(t, dsn)
	proxy.Mute()
	f, stop := run(t, engine(t, proxy.DSN(), file))
	if err := f.Wait(within(t), 1); err != nil {
		t.Fatal(err)
	}
	proxy.Heal()
	proxy.Cut()
	live(t, f, dsn)
	stop()
	if text, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if mended := age(text); mended > time.Since(began) {
		t.Errorf("a file that was torn and mended is %v old", mended)
	}
}

// What can't be saved doesn't keep edits from being live.
func TestFeedGoesOnWhenNothingCanBeSaved(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	f, _ := run(t, engine(t, dsn, filepath.Join(t.TempDir(), "none", "config")))
	mustExec(t, dsn, "INSERT INTO node (node) VALUES ('n1')")
	live(t, f, dsn)
}
