package show

import (
	"fmt"
	"strings"

	"receiver/internal/diagnose"
	"receiver/internal/plain"
	"receiver/internal/verify"
)

// Verdict prints a verdict and, if they were asked for, the findings.
func (p Printer) Verdict(v verify.Verdict, found []diagnose.Finding) error {
	var err error
	if p.JSON {
		out := map[string]any{"accepted": v.Accepted()}
		if v.Accepted() {
			out["key"], out["fingerprint"] = v.Key.Name(), v.Key.Fingerprint()
		} else {
			out["reason"] = v.Reason
		}
		if found != nil {
			out["findings"] = found
		}
		err = plain.WriteJSON(p.Out, out)
	} else {
		_, err = fmt.Fprintln(p.Out, v)
		for i, f := range found {
			if err == nil {
				_, err = fmt.Fprint(p.Out, findingText(i+1, f))
			}
		}
	}
	return err
}

// findingText is a finding as people read it.
func findingText(n int, f diagnose.Finding) string {
	var b strings.Builder
	proved := ""
	if f.Proved {
		proved = " (proved)"
	}
	fmt.Fprintf(&b, "\n%d. %s%s\n   %s\n   Next: %s\n", n, f.Code, proved, plain.Text(f.Text), plain.Text(f.Next))
	for _, list := range []struct {
		head string
		rows []string
	}{{"Tried:", f.Tried}, {"Not tried:", f.Skipped}} {
		if len(list.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "   %s\n", list.head)
		for _, row := range list.rows {
			fmt.Fprintf(&b, "   - %s\n", plain.Text(row))
		}
	}
	return b.String()
}
