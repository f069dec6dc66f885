package show

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/auditlog"
	"receiver/internal/plain"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
	"receiver/internal/words"
)

// Verified prints what a verification of the logs found.
func (p Printer) Verified(v records.Verified) error {
	var err error
	if p.JSON {
		err = plain.WriteJSON(p.Out, v)
	} else {
		err = p.verifiedTable(v)
	}
	p.verifiedHint(v)
	return err
}

func (p Printer) verifiedTable(v records.Verified) error {
	rows := make([][]string, 0, len(v.Logs))
	for _, r := range v.Logs {
		verdict := "intact"
		if n := len(r.Faults) + r.Omitted; !r.OK() {
			verdict = words.Count(n, "fault")
		}
		from, to := Range(r.From, r.To)
		rows = append(rows, []string{
			inArchive(r, r.Origin), verdict, from, to, fmt.Sprint(r.Size), fmt.Sprint(r.Records), fmt.Sprint(r.Absent), fmt.Sprint(r.Outside), fmt.Sprint(r.Unsealed),
			fmt.Sprint(r.Reverified), fmt.Sprint(r.NotChecked), fmt.Sprint(r.Checkpoints),
		})
	}
	head := []string{"LOG", "VERDICT", "FROM", "TO", "LEAVES", "RECORDS", "ABSENT", "OUTSIDE", "UNSEALED", "SIGNATURES", "UNCHECKED", "CHECKPOINTS"}
	if len(rows) > 0 {
		if err := plain.Table(p.Out, head, rows); err != nil {
			return err
		}
	}
	var signers []string
	for _, r := range v.Logs {
		signers = append(signers, r.Keys...)
	}
	for i, key := range signers {
		if !slices.Contains(signers[:i], key) { // archives of one log have one
			fmt.Fprintf(p.Out, "signed by %s\n", key)
		}
	}
	for _, f := range v.Faults {
		fmt.Fprintln(p.Out, plain.Text(f.String()))
	}
	for _, r := range v.Logs {
		for _, f := range r.Faults {
			fmt.Fprintln(p.Out, plain.Text(inArchive(r, f.String())))
		}
		if r.Omitted > 0 {
			fmt.Fprintf(p.Out, "%s: and %d more\n", inArchive(r, r.Origin), r.Omitted)
		}
	}
	if len(v.Places) == 0 {
		return nil // of an archive
	}
	fmt.Fprintln(p.Out)
	if err := p.places(v.Places); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Out, "\n%s\n", plain.Text(verdict(v)))
	return err
}

// places prints the places that checkpoints were compared in.
func (p Printer) places(places []anchor.Compared) error {
	rows := make([][]string, 0, len(places))
	for _, place := range places {
		count, newest, at := 0, []string{}, time.Time{}
		for _, h := range place.Logs {
			count += h.Checkpoints
			newest = append(newest, fmt.Sprintf("%s %d", streamOf(h.Log), h.Size))
			if h.Time.After(at) {
				at = h.Time
			}
		}
		age := "-"
		if !at.IsZero() {
			age = time.Since(at).Round(time.Second).String()
		}
		text := cmp.Or(strings.Join(newest, ", "), "nothing")
		if place.Error != "" {
			text += "; not asked: " + place.Error
		}
		rows = append(rows, []string{place.Kind, place.Where, fmt.Sprint(count), age, text})
	}
	return plain.Table(p.Out, []string{"PLACE", "WHERE", "CHECKPOINTS", "AGE", "NEWEST SIZES"}, rows)
}

func streamOf(origin string) string { return origin[strings.LastIndexByte(origin, '/')+1:] }

// verdict is the result in a sentence, with on whose word it rests.
func verdict(v records.Verified) string {
	switch {
	case !v.OK:
		return "not intact"
	case !v.Outside:
		return "intact as far as this machine's own word goes; no outside anchor: a rollback of store and checkpoint file together would not be found"
	}
	return "intact; " + strings.Join(vouched(v), "; ")
}

// vouched says of each log which place outside has the largest checkpoint, and since when.
func vouched(v records.Verified) []string {
	var all []string
	for _, log := range v.Logs {
		text := "no outside anchor for " + streamOf(log.Origin)
		best := int64(-1)
		for _, place := range v.Places {
			for _, h := range place.Logs {
				if !place.Outside() || h.Log != log.Origin || h.Size <= best {
					continue
				}
				best = h.Size
				text = fmt.Sprintf("%s up to %d of %d by %s %s, %s", streamOf(h.Log), h.Size, log.Size, place.Kind, place.Where, h.Time.Format(time.RFC3339))
			}
		}
		all = append(all, text)
	}
	return all
}

// Range returns the first and the last of sequences; of none, two dashes.
func Range(from, to uint64) (first, last string) {
	if from > to {
		return "-", "-"
	}
	return fmt.Sprint(from), fmt.Sprint(to)
}

// inArchive puts the archive of a log before a text, if there are several.
func inArchive(r audit.Report, text string) string {
	if r.Archive == "" {
		return text
	}
	return r.Archive + "/" + text
}

// verifiedHint says what the figures do not.
func (p Printer) verifiedHint(v records.Verified) {
	if len(v.Gaps) > 0 {
		p.Say("none of these archives has the sequences between them: %s", plain.Text(strings.Join(v.Gaps, ", ")))
	}
	if len(v.Gone) > 0 {
		p.Say("signatures of keys that are neither configured nor given were not verified: %s", plain.Text(strings.Join(v.Gone, ", ")))
	}
	if v.Hidden > 0 {
		p.Say("%s not verified, because the body is encrypted and no identity decrypts it; "+
			"give --identity-file, or set encryption.identity", words.Count(v.Hidden, "signature"))
	}
	if v.Elsewhere > 0 {
		p.Say("%s not verified, because the body is kept outside of its message and is not in the archive; "+
			"export it again with --bodies", words.Count(v.Elsewhere, "signature"))
	}
	if v.Mended > 0 {
		p.Say("%s would be verified by a key of today; `receiver audit reverify` lists those that are in the streams", words.Count(v.Mended, "refused callback"))
	}
	if !v.OK {
		p.Say("docs/evidence.md explains each error and what to do")
	}
}

// Checked prints that a bundle is proved.
func (p Printer) Checked(b audit.Bundle, c audit.Checked, o *auditlog.Origin) error {
	entries := make([]auditlog.Entry, 0, len(b.Entries))
	for _, e := range b.Entries {
		entry, ok := auditlog.Read(e.Record)
		if !ok {
			entry = ownEvent(e.Record)
		}
		entries = append(entries, entry)
	}
	var dates []date
	for _, e := range b.Entries {
		dates = append(dates, datesOf(e.Record, c.Checkpoint.Cosignatures)...)
	}
	if p.JSON {
		return plain.WriteJSON(p.Out, map[string]any{
			"dates": dates, "proved": true, "checkpoint": records.Checkpoint(c.Checkpoint), "records": entries,
			"origin_proved": c.Reverified, "origin_not_checked": len(b.Entries) - c.Reverified,
			"conclusions": append([]auditlog.Conclusion{}, o.Conclusions...), "encrypted": o.Count(auditlog.BodyEncrypted),
		})
	}
	_ = plain.Paint(p.Out, plain.Green, "PROVED") // the next write has the same error
	fmt.Fprintf(p.Out, ": %s stood in %s when its checkpoint of size %d was signed\n",
		words.Count(len(entries), "record"), plain.Text(c.Checkpoint.Origin), c.Checkpoint.Tree.N)
	for _, s := range c.Checkpoint.Cosignatures {
		fmt.Fprintf(p.Out, "cosigned by %s at %s\n", plain.Text(s.Witness), s.Time.UTC().Format(time.RFC3339))
	}
	if o.Verifier == nil {
		fmt.Fprintln(p.Out, "origin: not checked: give --signature-key-file")
	}
	for i, found := range o.Conclusions {
		fmt.Fprintf(p.Out, "origin of %s: %s\n", entries[i].ID, found)
	}
	fmt.Fprintln(p.Out)
	if err := Entries(p.Out, entries); err != nil {
		return err
	}
	return datesTable(p.Out, dates)
}

// Bundles prints which bundles were written.
func (p Printer) Bundles(made []records.Bundled) error {
	object := func(b records.Bundled) any { return b }
	return Each(p, made, object, []string{"BUNDLE", "STREAM", "RECORDS"}, func(b records.Bundled) []string {
		return []string{b.Bundle, b.Stream, fmt.Sprint(b.Records)}
	})
}

// Consistent prints that one checkpoint extends another.
func (p Printer) Consistent(c records.Consistent) error {
	if p.JSON {
		return plain.WriteJSON(p.Out, map[string]any{"proved": true, "old": records.Checkpoint(c.Old), "new": records.Checkpoint(c.New)})
	}
	_ = plain.Paint(p.Out, plain.Green, "PROVED") // the next write has the same error
	_, err := fmt.Fprintf(p.Out, ": %s of size %d extends the one of size %d: nothing before was changed, removed or inserted\n",
		plain.Text(c.New.Origin), c.New.Tree.N, c.Old.Tree.N)
	return err
}

// Checkpoints prints checkpoints.
func (p Printer) Checkpoints(checkpoints []audit.Checkpoint) error {
	object := func(cp audit.Checkpoint) any { return records.Checkpoint(cp) }
	return Each(p, checkpoints, object, []string{"LOG", "LEAVES", "ROOT", "COSIGNED"}, func(cp audit.Checkpoint) []string {
		return []string{cp.Origin, fmt.Sprint(cp.Tree.N), cp.Tree.Hash.String(), fmt.Sprint(len(cp.Cosignatures))}
	})
}

// Late prints refused callbacks that a key which was added later verifies.
func (p Printer) Late(found []*auditlog.Late) error {
	head := []string{"ID", "RECEIVED", "SUBJECT", "KEY", "TIMES", "STATE", "EVENT"}
	return Each(p, found, Itself, head, func(m *auditlog.Late) []string {
		event := "-"
		if m.Sequence > 0 {
			event = fmt.Sprintf("%s/%d", conn.JobsStream, m.Sequence)
		}
		return []string{m.ID, m.Event.Time.UTC().Format(time.RFC3339), m.Subject, m.Key, fmt.Sprint(m.Times), m.State, event}
	})
}

// Exports prints what was exported of each log.
func (p Printer) Exports(all []records.Exported) error {
	if len(all) == 0 {
		return nil
	}
	return Each(p, all, Itself, []string{"LOG", "FROM", "TO", "RECORDS", "FAULTS", "FOLDER"}, func(e records.Exported) []string {
		from, to := Range(e.From, e.To)
		return []string{e.Origin, from, to, fmt.Sprint(e.Records), fmt.Sprint(e.Faults), e.Folder}
	})
}
