package words_test

import (
	"strings"
	"testing"

	"receiver/internal/words"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		n          int
		noun, want string
	}{
		{0, "source", "0 sources"}, {1, "source", "1 source"}, {2, "source", "2 sources"},
		{1, "copy", "1 copy"}, {3, "copy", "3 copies"}, {2, "day", "2 days"}, {2, "witness", "2 witnesses"}, {2, "queued callback", "2 queued callbacks"},
	} {
		if got := words.Count(tt.n, tt.noun); got != tt.want {
			t.Errorf("Count(%d, %q) = %q, want %q", tt.n, tt.noun, got, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	known := []string{"finished", "running", "lost"}
	for word, want := range map[string]string{
		"running":                "",
		"finshed":                `"finshed" is unknown (did you mean finished?); known: finished, running, lost`,
		"Running":                `"Running" is unknown (did you mean running?); known: finished, running, lost`,
		"":                       `"" is unknown; known: finished, running, lost`,
		"done\x1b":               `"done\x1b" is unknown; known: finished, running, lost`,
		strings.Repeat("x", 200): `"` + strings.Repeat("x", 100) + `…" is unknown; known: finished, running, lost`,
	} {
		got := ""
		if err := words.Check(word, known); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Check(%.20q) = %s, want %s", word, got, want)
		}
	}
	if err := words.Check("a", nil); err == nil {
		t.Error("Check of a word where none is known = nil, want an error")
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ message, what, next string }{
		{"no job 7; see `jobs list`", "no job 7", "see `jobs list`"},
		{"a; b; c", "a; b", "c"},
		{"no advice", "no advice", ""},
		{"a;b", "a;b", ""},
		{"two faults:\na; b\nc; d", "two faults:\na; b\nc; d", ""},
	} {
		if what, next := words.Advice(tt.message); what != tt.what || next != tt.next {
			t.Errorf("Advice(%q) = %q, %q, want %q, %q", tt.message, what, next, tt.what, tt.next)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{"soruce": "source", "xyz": "", "sourcing-of-all": "", "": ""} {
		if got := words.Nearest(word, []string{"object", "source"}); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
