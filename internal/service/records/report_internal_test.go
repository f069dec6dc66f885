package records

import (
	"bytes"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
	"receiver/internal/auditlog"
	"receiver/internal/auditlog/report"
	"receiver/internal/config"
	"receiver/internal/job"
)

// eventWorld is a log of so many unsigned events of the receiver, each with a body of a size.
func eventWorld(t *testing.T, n, size int) *audittest.World {
	t.Helper()
	w := audittest.NewWorld(t, n)
	for seq := range n {
		e := job.Event{Kind: job.Submitted, Source: "crm", Time: audittest.Start, Evidence: job.ByUs, Data: bytes.Repeat([]byte(" "), size), Job: job.View{ID: "7"}}
		w.Stream.Change(uint64(seq+1), func(r *audit.Record) { r.Subject, r.Header, r.Data = e.Subject(), e.Header().Map(), e.Data })
	}
	return w
}

// gather is what a report is made of: the log of a world, and all its records.
func gather(t *testing.T, w *audittest.World, ids ...string) *gathering {
	t.Helper()
	read := func(stream string, _ time.Time, _ uint64) iter.Seq2[audit.Record, error] {
		return func(yield func(audit.Record, error) bool) {
			for seq := uint64(1); stream == "JOBS" && seq <= w.Stream.Newest; seq++ {
				if !yield(w.Stream.Held[seq], nil) {
					return
				}
			}
		}
	}
	q := Query{Filter: auditlog.Filter{Events: true}}
	return &gathering{
		ReportOptions: ReportOptions{
			Config: &config.Config{Audit: config.Audit{VerifierKeys: []string{audittest.Key(t).VerifierKey(audittest.Origin)}}},
			IDs:    ids, Query: q, Report: report.Options{Keys: audittest.Keys(t), Body: BodyAlone(nil, nil, auditlog.ErrElsewhere)},
		},
		entries: auditlog.Entries(read, q.streams(), q.Filter, nil),
		log:     func(string) (*audit.Log, error) { return w.Log, nil },
	}
}

func TestAReportIsBounded(t *testing.T) {
	for _, row := range []struct {
		name          string
		records, size int
		want          string // in the error
	}{
		{"as many records as may be", report.MaxRecords, 1, ""},
		{"one more", report.MaxRecords + 1, 1, "at most 1000 records"},
		{"as many bytes as may be", 3, report.MaxBytes / 4, ""},
		{"more", 4, report.MaxBytes / 4, "at most 16 MiB"},
	} {
		w := eventWorld(t, row.records, row.size)
		w.Seal(t)
		r, err := gather(t, w).report(t.Context())
		usage := new(config.UseError)
		if row.want != "" {
			if err == nil || !strings.Contains(err.Error(), row.want) || !errors.As(err, usage) {
				t.Errorf("%s: error %v, want one of use that says %q", row.name, err, row.want)
			}
		} else if err != nil || len(r.Records) != row.records {
			t.Errorf("%s: %d records, %v, want %d", row.name, len(r.Records), err, row.records)
		}
	}
}

func TestAReportNamesWhatIsNotSealed(t *testing.T) {
	w := eventWorld(t, 2, 1)
	if _, err := gather(t, w).report(t.Context()); !errors.Is(err, audit.ErrNotSealed) {
		t.Errorf("nothing is sealed: error %v, want ErrNotSealed", err)
	}
	w.Seal(t)
	w.Stream.Add(1)
	r, err := gather(t, w).report(t.Context())
	if err != nil || len(r.Records) != 2 || len(r.Unsealed) != 1 || r.Unsealed[0] != "JOBS/3" {
		t.Errorf("%d records, %v unsealed, %v, want 2 and JOBS/3", len(r.Records), r.Unsealed, err)
	}
	if _, err := gather(t, w, "JOBS/1", "JOBS/3").report(t.Context()); !errors.Is(err, audit.ErrNotSealed) {
		t.Errorf("a record by name that is not sealed: error %v, want ErrNotSealed", err)
	}
}

func TestAReportHasNoRecordThatWasChanged(t *testing.T) {
	w := eventWorld(t, 3, 1)
	w.Seal(t)
	w.Stream.Change(2, func(r *audit.Record) { r.Data = []byte("x") })
	if _, err := gather(t, w).report(t.Context()); !errors.Is(err, audit.ErrProof) || !strings.Contains(err.Error(), "audit verify") {
		t.Errorf("error %v, want ErrProof and what to do", err)
	}
}

// The newest checkpoint may not be cosigned yet: one that is, and that covers the same records,
// tells more.
func TestAReportPrefersACosignedCheckpoint(t *testing.T) {
	witness := audittest.NewWitnessKey("witness.example/w1")
	w := eventWorld(t, 4, 1)
	text, _, _ := strings.Cut(string(w.Seal(t).Note), "\n\n")
	file := filepath.Join(t.TempDir(), "checkpoints")
	if err := os.WriteFile(file, append(audittest.SignedNote(t, text+"\n", audittest.Signer(t), witness), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Stream.Add(1)
	w.Stream.Change(5, func(r *audit.Record) {
		one := w.Stream.Held[1]
		r.Subject, r.Header = one.Subject, one.Header
	})
	w.Seal(t)
	for id, want := range map[string]int64{"JOBS/4": 4, "JOBS/5": 5} {
		g := gather(t, w, id)
		g.Report.Keys = audittest.Keys(t, witness.VerifierKey())
		g.kept = func() (*anchor.Collection, error) {
			k := &anchor.Collection{}
			k.AddFile("file", file, true)
			return k, nil
		}
		r, err := g.report(t.Context())
		if err != nil || r.Bundles[0].Size != want {
			t.Errorf("%s: proved against %+v, %v, want size %d", id, r.Bundles, err, want)
		}
	}
}
