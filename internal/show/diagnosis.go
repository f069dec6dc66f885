package show

import (
	"fmt"
	"strings"

	"receiver/api"
	"receiver/internal/plain"
	"receiver/internal/service"
	"receiver/internal/words"
)

// colours are those of findings on a terminal.
var colours = map[api.Severity]plain.Colour{api.SeverityOk: plain.Green, api.SeverityWarning: plain.Yellow, api.SeverityError: plain.Red}

// Diagnosis prints what doctor found.
func (p Printer) Diagnosis(d api.Diagnosis) error {
	if p.JSON {
		return plain.WriteJSON(p.Out, d)
	}
	counts := map[api.Severity]int{}
	for _, f := range d.Findings {
		counts[f.Severity]++
		for i, line := range [][2]string{{f.Check, f.What}, {"why", f.Why}, {"change", service.Remedy(f)}} {
			if line[1] == "" {
				continue
			}
			severity, colour := "", plain.NoColour
			if i == 0 {
				severity, colour = string(f.Severity), colours[f.Severity]
			}
			if err := plain.Paint(p.Out, colour, fmt.Sprintf("%-8s", severity)); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(p.Out, " %-10s %s\n", line[0], plain.Text(line[1])); err != nil {
				return err
			}
		}
	}
	parts := []string{fmt.Sprintf("%d ok", counts[api.SeverityOk])}
	for _, s := range []api.Severity{api.SeverityNote, api.SeverityWarning, api.SeverityError} {
		if counts[s] > 0 {
			parts = append(parts, words.Count(counts[s], string(s)))
		}
	}
	p.Say("%s: %s", words.Count(len(d.Findings), "finding"), strings.Join(parts, ", "))
	return nil
}
