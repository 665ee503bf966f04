package transcript_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringmaster/logic/transcript"
	"ringmaster/migrations"
	"ringmaster/testdata/demo"
)

// includes finds what transcripts include.
func includes(name string) (string, error) {
	if name == "demo" {
		return demo.SQL, nil
	}
	return migrations.Scripts()
}

func TestCalls(t *testing.T) {
	files, err := filepath.Glob("../../testdata/calls/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			read, err := transcript.Read(filepath.Base(file), string(text), includes)
			if err != nil {
				t.Fatal(err)
			}
			differences, err := read.Play(time.LoadLocation, nil)
			if err != nil {
				t.Error(err)
			}
			for _, difference := range differences {
				t.Errorf("%s: %s", filepath.Base(file), difference)
			}
		})
	}
}
