//go:build e2e

package main

import (
	"slices"
	"strings"
	"testing"
)

// For each kind of operator, a mutant that the tests kill differs from one that survives.
func TestSurvivors(t *testing.T) {
	t.Parallel()
	alive, total, err := survivors(t.Context(), "testdata/sample")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range alive {
		got = append(got, m.kind+" "+m.text)
	}
	slices.Sort(got)
	want := []string{
		"ARITHMETIC_BASE const freeBytes = 3 «*» 4",
		"ARITHMETIC_BASE func freeRest(d time.Duration) float64 { return d.Seconds() «/» 2 }",
		"CONDITIONALS_BOUNDARY func freeGreater(a, b string) bool { return a «>=» b }",
		"CONDITIONALS_NEGATION func freeGreater(a, b string) bool { return a «>=» b }",
		"CONDITIONALS_NEGATION func freeUnequal(a any) bool { return a «!=» nil }",
		"CONDITIONALS_NEGATION if v «==» 9 {",
		"INVERT_BWASSIGN n «|=» v",
		"INVERT_LOGICAL func freeOr(a, b bool) bool  { return a «||» b }",
		"INVERT_LOOPCTRL «break»",
		"REMOVE_SELF_ASSIGNMENTS n «|=» v",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the survivors are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if total != 31 {
		t.Errorf("there are %d mutants, want 31", total)
	}
}
