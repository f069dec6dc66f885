package report

import (
	"fmt"
	"io"
	"strings"

	"receiver/internal/plain"
	"receiver/internal/words"
)

// Text writes the report for a terminal, without the bundles: the other forms have them.
func (r Report) Text(w io.Writer) error {
	t := &text{}
	t.line("Evidence report of %s, made %s by receiver %s", words.Count(len(r.Records), "record"), moment(r.Made), r.Program)
	for _, f := range r.Asked {
		t.fact(f.Name, f.Value)
	}
	if len(r.Unsealed) > 0 {
		t.fact("left out", strings.Join(r.Unsealed, ", ")+": no checkpoint covers them yet")
	}
	for _, j := range r.Jobs {
		t.line("\nJob %s of %s", j.ID, j.Source)
		t.fact("object", j.Object)
		t.fact("result", j.ended())
		t.fact("contradicted by", strings.Join(j.Conflicts, ", "))
	}
	for _, record := range r.Records {
		t.record(record)
	}
	for _, b := range r.Bundles {
		t.line("\nCheckpoint of %s", b.Origin)
		t.fact("size", fmt.Sprint(b.Size))
		t.fact("root", b.Root)
		for _, s := range b.Signatures {
			t.fact("signature", s.words())
		}
		t.fact("log key", b.LogKey)
	}
	t.line("\nThe dates, and what each rests on")
	for _, d := range r.Dates {
		t.line("  %s: the clock is %s; %s", d.Name, d.Clock, d.Says)
	}
	t.line("\nNot proved")
	for _, s := range r.NotProved {
		t.line("  %s", s)
	}
	t.line("\n--html writes this as a page with the bundles and the commands that check them; -o json has them, too.")
	_, err := io.WriteString(w, t.String())
	return err
}

// text is escaped text in lines.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	rest, blank := strings.CutPrefix(line, "\n")
	if blank {
		t.WriteByte('\n')
	}
	t.WriteString(plain.Text(rest) + "\n")
}

func (t *text) fact(name, value string) {
	if value != "" {
		t.line("  %-15s %s", name, value)
	}
}

func (t *text) record(r Record) {
	t.line("\n%s, %s", r.ID, verdict(r))
	t.fact("reason", r.Reason)
	if r.Received != nil {
		t.fact("received", moment(*r.Received))
	}
	t.fact("stored", moment(r.Stored))
	t.fact("from", r.Remote)
	if r.Answer != 0 {
		t.fact("answered", fmt.Sprint(r.Answer))
	}
	t.fact("source", strings.TrimSpace(r.Source+" "+r.Claimed))
	t.fact("job", strings.TrimSpace(r.Job+" "+r.Kind+" "+r.Result))
	t.fact("known from", known(r.Evidence))
	t.fact("operator", r.Operator)
	t.fact("key", strings.TrimSpace(r.Key+" "+r.Fingerprint))
	t.fact("signature", r.Signature)
	t.fact("its check", r.Check.Text)
	t.fact("body", r.Content.Text)
	t.fact("body sha256", r.Entry.Body)
	t.fact(fmt.Sprintf("leaf %d", r.Index), r.Leaf)
	for _, s := range r.Path {
		t.fact("  "+s.Side, s.Sibling)
	}
}

// ended is how a job has ended.
func (j Job) ended() string {
	if j.Result == "" {
		return "no end among these records"
	}
	all := j.Result
	if j.Status != "" {
		all += " (" + j.Status + ")"
	}
	if j.Rows != nil {
		all += fmt.Sprintf(", %s", words.Count(*j.Rows, "row"))
	}
	if j.Failed != nil {
		all += fmt.Sprintf(", %d failed", *j.Failed)
	}
	return all + "; " + j.Record + ", " + known(j.Evidence)
}

// words is one line under a checkpoint.
func (s Signature) words() string {
	at := s.Name + ", key ID " + s.KeyID
	switch {
	case s.By == ByLog:
		return "right, by the log's key: " + at
	case s.Time != nil:
		return "right, by a witness at " + moment(*s.Time) + ": " + at
	}
	return "not verified, by an unknown key: " + at
}
