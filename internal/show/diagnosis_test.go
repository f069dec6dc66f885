package show_test

import (
	"bytes"
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/plain"
	"receiver/internal/show"
)

// A terminal shows severities in colours; their text cannot paint anything.
func TestFindingsAreColouredOnATerminalOnly(t *testing.T) {
	t.Parallel()
	findings := []api.CheckFinding{
		{Check: "disk", Severity: api.SeverityError, What: "full \x1b[32mnot\x1b[0m"}, {Check: "clock", Severity: api.SeverityWarning, What: "late"}, {Check: "keys", Severity: api.SeverityOk, What: "good"},
	}
	for _, colours := range []bool{true, false} {
		var out, talk bytes.Buffer
		w := plain.NewWriter(&out)
		w.Colours = colours
		if err := (show.Printer{Out: w, Talk: &talk}).Diagnosis(api.Diagnosis{Findings: findings}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"\x1b[31merror   \x1b[0m disk ", "\x1b[33mwarning \x1b[0m clock ", "\x1b[32mok      \x1b[0m keys "} {
			if strings.Contains(out.String(), want) != colours {
				t.Errorf("with colours %v: %q, want %q: %v", colours, &out, want, colours)
			}
		}
		if n := strings.Count(out.String(), "\x1b"); colours && n != 6 || !colours && n != 0 {
			t.Errorf("with colours %v: %d escape sequences in %q", colours, n, &out)
		}
		if want := "3 findings: 1 ok, 1 warning, 1 error\n"; talk.String() != want {
			t.Errorf("the last line is %q, want %q", &talk, want)
		}
	}
}
