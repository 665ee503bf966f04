package record_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"ringmaster/store/ledger/record"
)

// TestCutIsTakenByPostgres: whatever a node sends becomes UTF-8 without NUL, no longer than allowed; what is so already stays.
func TestCutIsTakenByPostgres(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, most := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")), rapid.IntRange(0, 40).Draw(t, "most")
		got := record.Cut(text, most)
		if !utf8.ValidString(got) || strings.ContainsRune(got, 0) || len(got) > most {
			t.Fatalf("%q of %q, %d bytes at most", got, text, most)
		}
		if fine := utf8.ValidString(text) && !strings.ContainsRune(text, 0) && len(text) <= most; fine != (got == text) {
			t.Fatalf("%q of %q, %d bytes at most", got, text, most)
		}
	})
}
