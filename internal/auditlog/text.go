package auditlog

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/words"
)

// Write shows a record to a person, escaped for a terminal.
func (d *Detail) Write(w io.Writer) error {
	var b strings.Builder
	d.writeHead(&b)
	d.writeBody(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Detail) writeHead(w *strings.Builder) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, plain.Text(value))
		}
	}
	line("record", d.ID)
	line("subject", d.Subject)
	line("stored", d.Stored.Format("2006-01-02T15:04:05.999999999Z07:00"))
	if !d.Received.IsZero() {
		line("received", d.Received.Format("2006-01-02T15:04:05.999999999Z07:00"))
	}
	line("from", d.Remote)
	verdict := d.Verdict
	if d.Reason != "" {
		verdict += ": " + d.Reason
	}
	line("verdict", verdict)
	line("key", strings.TrimSpace(d.Key+" "+d.Fingerprint))
	line("signature", d.Signature)
	line("operator", d.Operator)
	line("leaf hash", d.LeafHash)
	line("seal", d.Seal.text())
	line("body sha256", d.Body)
	line("same body", strings.Join(d.Same, ", "))
	fmt.Fprintln(w, "\nheaders of the record")
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		for _, v := range d.Headers[name] {
			fmt.Fprintf(w, "  %s: %s\n", plain.Text(name), plain.Text(v))
		}
	}
}

// NotKept says where a body is that neither its record has nor the place it was read from; empty
// if there is one.
func (d *Detail) NotKept() string {
	switch {
	case d.BodyKept:
		return ""
	case len(d.Headers[job.HeaderDataRef]) > 0:
		return "kept outside of its message, and not among the bodies of this archive"
	case d.Verdict == Refused:
		return "not kept: it was over limits.attempt_body"
	case len(d.Same) == 0:
		return "kept once only, by a record that is not there any more"
	}
	return "kept once only, in JOBS or by an earlier record of those with the same body: " + strings.Join(d.Same, ", ")
}

func (s Seal) text() string {
	text := s.State
	if s.Size > 0 {
		text += fmt.Sprintf(" by %s of size %d, root %s", s.Origin, s.Size, s.Root)
	}
	if len(s.Witnesses) > 0 {
		text += ", cosigned by " + strings.Join(s.Witnesses, ", ")
	}
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	return text
}

func (d *Detail) writeBody(w *strings.Builder) {
	size := "of unknown length"
	if d.Size >= 0 {
		size = words.Count(d.Size, "byte")
	}
	fmt.Fprintf(w, "\nbody, %s\n", size)
	switch {
	case d.Encrypted != "":
		fmt.Fprintf(w, "  %s\n", plain.Text(d.Encrypted))
	case !d.BodyKept:
		fmt.Fprintf(w, "  %s\n", d.NotKept())
	case d.Base64 != nil:
		w.WriteString(hex.Dump(d.Base64))
	default:
		for text := range strings.Lines(d.Text) {
			fmt.Fprintf(w, "  %s\n", plain.Text(strings.TrimSuffix(text, "\n")))
		}
	}
}
