package auditlog_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
)

// one is a stream of one record.
type one struct{ audit.Record }

func (o one) Last(context.Context) (uint64, error) { return o.Seq, nil }

func (o one) Records(_ context.Context, from, to uint64, yield func(audit.Record) error) error {
	if from > o.Seq || to < o.Seq {
		return nil
	}
	return yield(o.Record)
}

// The length of an action is that of its text, which is in the record.
func TestDetailTellsTheLengthOfAnAction(t *testing.T) {
	const action = `{"what":"start","time":"2026-11-30T12:00:00Z"}`
	reader := auditlog.Reader{
		Source:  one{audit.Record{Stream: "ACTIONS", Seq: 1, Time: noon, Subject: "actions.start", Data: []byte(action)}},
		Body:    func(r audit.Record) ([]byte, error) { return r.Data, nil },
		Log:     func(context.Context) (*audit.Log, error) { return nil, nil },
		Entries: func(auditlog.Filter) iter.Seq2[auditlog.Entry, error] { return nil },
	}
	d, err := reader.Detail(t.Context(), "ACTIONS", 1)
	if err != nil || d.Size != int64(len(action)) || !d.BodyKept || d.NotKept() != "" {
		t.Errorf("the action has %d bytes (kept: %v, %q), %v; want %d", d.Size, d.BodyKept, d.NotKept(), err, len(action))
	}
}

// The length of a body is said as it is, wherever the body is kept; a length that is not known
// is no number.
func TestDetailTellsTheLengthOfEveryBody(t *testing.T) {
	large := strings.Repeat("x", 5000)
	const reference = "obj://PAYLOADS/x"
	for _, tt := range []struct {
		name     string
		kind     job.Kind
		evidence job.Evidence
		body     string // as it was signed
		inside   bool   // the record has it
		read     error  // of the body
		want     string
	}{
		{"in the record", job.Finished, job.ByCallback, "{}", true, nil, "body, 2 bytes\n  {}\n"},
		{"in the object store", job.Finished, job.ByCallback, large, false, nil, "body, 5000 bytes\n  xxx"},
		{"of an event of our own, in the object store", job.Errors, job.ByPoll, large, false, nil, "body, 5000 bytes\n  xxx"},
		{"empty, and authentic", job.Unrecognised, job.ByCallback, "", true, nil, "body, 0 bytes\n"},
		{"encrypted, in the object store", job.Finished, job.ByCallback, large, false, auditlog.ErrEncrypted, "body, of unknown length\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := job.Event{Source: "demo", Kind: tt.kind, Evidence: tt.evidence, Time: noon, Job: job.View{ID: "7"}, Data: []byte(tt.body)}
			if tt.evidence == job.ByCallback {
				e.Receipt = &job.Receipt{Key: "k", Fingerprint: "sha256:fdef0e6f", Received: noon}
			}
			r := audit.Record{Stream: "JOBS", Seq: 3, Time: noon, Subject: e.Subject(), Header: e.Header().Map(), Data: e.Data}
			if !tt.inside {
				r.Header[job.HeaderDataRef], r.Data = []string{reference}, nil
			}
			reader := auditlog.Reader{
				Source: one{r},
				Body:   func(audit.Record) ([]byte, error) { return []byte(tt.body), tt.read },
				Log:    func(context.Context) (*audit.Log, error) { return nil, nil },
				Entries: func(auditlog.Filter) iter.Seq2[auditlog.Entry, error] {
					return func(func(auditlog.Entry, error) bool) {}
				},
			}
			d, err := reader.Detail(t.Context(), "JOBS", 3)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := d.Write(&out); err != nil {
				t.Fatal(err)
			}
			if _, shown, _ := strings.Cut(out.String(), "\n\nbody"); !strings.HasPrefix("body"+shown, tt.want) {
				t.Errorf("the record is shown as\n%.600s\nwant %s", out.String(), tt.want)
			}
		})
	}
}
