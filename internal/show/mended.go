package show

import (
	"fmt"

	"receiver/internal/natsserver/storefolder"
	"receiver/internal/plain"
)

// Mended prints what a repair of the store did.
func (p Printer) Mended(done storefolder.Mended) error {
	if p.JSON {
		done.LeftOut, done.Lost = append([]string{}, done.LeftOut...), append([]string{}, done.Lost...)
		return plain.WriteJSON(p.Out, done)
	}
	for _, place := range done.LeftOut {
		if _, err := fmt.Fprintln(p.Out, "left out:", plain.Text(place)); err != nil {
			return err
		}
	}
	for _, what := range done.Lost {
		if _, err := fmt.Fprintln(p.Out, "lost:", plain.Text(what)); err != nil {
			return err
		}
	}
	switch {
	case len(done.LeftOut) > 0:
		p.Say("the original files are in %s; keep them, and run `receiver audit verify`", done.Kept)
	case len(done.Lost) > 0:
		p.Say("the receiver continues without the missing data; run `receiver audit verify`")
	default:
		p.Say("nothing is damaged or missing, and nothing was changed")
	}
	return nil
}
