package show

import (
	"fmt"

	"receiver/internal/plain"
	"receiver/internal/publish/schema"
	"receiver/internal/service/plans"
	"receiver/internal/words"
)

// Plan prints what would be changed about the streams.
func (p Printer) Plan(plan schema.Plan) error {
	if p.JSON {
		return plain.WriteJSON(p.Out, plans.Shown(plan))
	}
	var rows [][]string
	for _, s := range plan.Streams {
		if s.Missing {
			rows = append(rows, []string{s.Stream, "-", "missing", "-", "`receiver serve` makes it"})
		}
		for _, c := range s.Changes {
			rows = append(rows, []string{s.Stream, c.Setting, c.Have, c.Want, effect(c)})
		}
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.Out, "the streams are as configured")
		return err
	}
	return plain.Table(p.Out, []string{"STREAM", "SETTING", "IS", "CONFIGURED", "EFFECT"}, rows)
}

// effect says what becomes of a change.
func effect(c schema.Change) string {
	text := "apply changes it"
	switch {
	case c.Blocked != "":
		text = "not in place: " + c.Blocked
	case c.Drops > 0:
		text = "apply --drop changes it and deletes " + words.Count(c.Drops, "stored message")
	}
	if c.Refused {
		text += "; no receiver starts with the current setting"
	}
	return text
}
