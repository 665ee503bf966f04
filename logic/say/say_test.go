package say_test

import (
	"strings"
	"testing"

	"ringmaster/logic/say"
)

func TestAmount(t *testing.T) {
	for amount, want := range map[string]string{
		"0":           "digits/0",
		"10":          "digits/10",
		"0.05":        "digits/0 letters/dot digits/0 digits/5",
		"12.5":        "digits/12 letters/dot digits/50",
		"-3.20":       "letters/dash digits/3 letters/dot digits/20",
		"119.99":      "digits/1 digits/hundred digits/19 letters/dot digits/90 digits/9",
		"42000.00":    "digits/40 digits/2 digits/thousand",
		"300001.007":  "digits/3 digits/hundred digits/thousand digits/1",
		"1234567.00":  "digits/1 digits/2 digits/3 digits/4 digits/5 digits/6 digits/7",
		"nonsense":    "",
		"99999999999": strings.TrimSpace(strings.Repeat("digits/9 ", 11)),
	} {
		if got := strings.Join(say.Amount(amount), " "); got != want {
			t.Errorf("%s: %s, want %s", amount, got, want)
		}
	}
}
