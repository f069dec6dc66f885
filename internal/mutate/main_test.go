package main

import (
	"strings"
	"testing"
)

// The list and the survivors say the same, or what differs is named with what to do.
func TestTheListIsCompared(t *testing.T) {
	t.Parallel()
	alive := []mutant{
		{kind: "INVERT_LOGICAL", file: "internal/job/a.go", line: 7, column: 9, text: "a «&&» b"},
		{kind: "INVERT_LOGICAL", file: "internal/job/a.go", line: 8, column: 9, text: "a «&&» `b`"},
	}
	list := "# Mutants\n\n- `internal/job/a.go` `INVERT_LOGICAL` `a «&&» b`: why\n- `internal/job/a.go` `INVERT_LOGICAL` `` a «&&» `b` ``: why\n- `internal/verify/a.go` `INVERT_LOGICAL` `c «&&» d`: why\n"
	for name, tt := range map[string]struct {
		alive []mutant
		list  string
		want  []string
	}{
		"all are listed":       {alive, list, nil},
		"one is not":           {append(alive, mutant{kind: "INVERT_LOGICAL", file: "internal/job/a.go", line: 9, column: 3, text: "e «||» f"}), list, []string{"internal/job/a.go:9:3: the tests pass"}},
		"one is of the past":   {alive[:1], list, []string{"remove the entry:\n  - `internal/job/a.go` `INVERT_LOGICAL` `` a «&&» `b` ``"}},
		"an entry says no why": {alive, strings.Replace(list, "`a «&&» b`: why", "`a «&&» b`: ", 1), []string{"internal/job/a.go:7:9: the tests pass"}},
	} {
		got := compare(tt.alive, entries([]byte(tt.list), "internal/job"))
		if len(got) != len(tt.want) || len(got) > 0 && !strings.Contains(got[0], tt.want[0]) {
			t.Errorf("%s: compare = %q, want %q", name, got, tt.want)
		}
	}
}

// Tests that fail by themselves say nothing about mutants.
func TestFailingTestsAreNotMutated(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]string{
		"testdata/failing": "the tests fail without a mutant",
		"testdata/nothing": "there is no Go file",
	} {
		if _, _, err := survivors(t.Context(), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}
