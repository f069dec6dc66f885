package auditlog_test

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
)

// now is when the records of these tests are stored.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// came is a record in JOBS of a callback that came so long before, or in ATTEMPTS with a verdict.
func came(ago time.Duration, verdict string, edit func(*job.Event)) audit.Record {
	at := now.Add(-ago)
	data := []byte(`{"id":"1","status":"COMPLETED"}`)
	receipt := job.Receipt{Received: at, Signature: "sha256=x"}
	if verdict != "" {
		a := job.Attempt{Source: "demo", Verdict: verdict, Receipt: receipt, Body: data, Size: int64(len(data)), SHA256: job.BodySHA256(data)}
		return audit.Record{Stream: "ATTEMPTS", Seq: 2, Subject: a.Subject(), Header: a.Header().Map(), Data: data, Time: now}
	}
	view, _ := job.Read(data)
	e := job.Event{Kind: job.Finished, Source: "demo", Job: view, Time: at, Evidence: job.ByCallback, Receipt: &receipt, Data: data}
	if edit != nil {
		edit(&e)
	}
	return audit.Record{Stream: "JOBS", Seq: 7, Subject: e.Subject(), Header: e.Header().Map(), Data: data, Time: now}
}

// stored is the record as it was stored so long before.
func stored(r audit.Record, ago time.Duration, seq uint64) audit.Record {
	r.Time, r.Seq = now.Add(-ago), seq
	return r
}

const month = 30 * 24 * time.Hour

func TestDates(t *testing.T) {
	t.Parallel()
	late := came(month, "", nil)
	byOperator := came(month, "", func(e *job.Event) { e.Evidence = job.ByReverify })
	action := func(what string, ago time.Duration) audit.Record {
		a := job.Action{What: what, Time: now.Add(-ago)}
		data, err := a.Data()
		if err != nil {
			t.Fatal(err)
		}
		return audit.Record{Stream: "ACTIONS", Seq: 3, Subject: a.Subject(), Data: data, Time: now}
	}
	for _, row := range []struct {
		name    string
		records []audit.Record // JOBS before ATTEMPTS, as they are verified
		want    string         // a part of the one fault
	}{
		{"a callback", []audit.Record{came(time.Second, "", nil)}, ""},
		{"one that waited for its timeouts", []audit.Record{came(10*time.Minute, "", nil)}, ""},
		{"a clock that is a little ahead", []audit.Record{came(-4*time.Minute, "", nil)}, ""},
		{"a clock that is far ahead", []audit.Record{came(-6*time.Minute, "", nil)}, "after it was stored"},
		{"a refused callback", []audit.Record{came(time.Minute, "mismatch", nil)}, ""},
		{"a refusal of long ago", []audit.Record{came(time.Hour, "mismatch", nil)}, "it says that it arrived at"},
		{"a poll of long ago", []audit.Record{came(month, "", func(e *job.Event) { e.Evidence, e.Receipt = job.ByPoll, nil })}, ""},
		{"a poll of tomorrow", []audit.Record{came(-time.Hour, "", func(e *job.Event) { e.Evidence, e.Receipt = job.ByPoll, nil })}, "happened"},
		{"another time than that of the arrival", []audit.Record{came(0, "", func(e *job.Event) { e.Time = now.Add(-time.Hour) })}, "and happened at"},
		{"an action", []audit.Record{action(job.ActionCancel, time.Hour)}, ""},
		{"an action of long ago", []audit.Record{action(job.ActionCancel, month)}, "but it was stored at"},
		{"a mending of long ago", []audit.Record{action(job.ActionMend, month)}, ""},
		{"an action of tomorrow", []audit.Record{action(job.ActionMend, -time.Hour)}, "happened"},

		{"released, with its attempt", []audit.Record{late, stored(came(month, job.Quarantined, nil), month, 40)}, ""},
		{"corrected, with its attempt", []audit.Record{byOperator, stored(came(month, "mismatch", nil), month, 40)}, ""},
		{"released, its attempt dropped", []audit.Record{late, stored(came(0, "mismatch", nil), 0, 40)}, ""},
		{"released, attempts not read", []audit.Record{late}, ""},
		{"of long ago, attempts reach back", []audit.Record{late, stored(came(2*month, "mismatch", nil), 2*month, 40)}, "no attempt"},
		{"of long ago, all attempts there", []audit.Record{late, stored(came(0, "mismatch", nil), 0, 1)}, "no attempt"},
		{"late by its own word", []audit.Record{byOperator, stored(came(0, "mismatch", nil), 0, 1)}, "no attempt"},
		{"the attempt of another verdict", []audit.Record{late, stored(came(month, job.Duplicate, nil), month, 1)}, "no attempt"},
		{"another's attempt", []audit.Record{late, stored(came(month+time.Second, job.Quarantined, nil), month, 1)}, "no attempt"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := auditlog.NewDates(0)
			var faults []string
			for _, r := range row.records {
				if err := d.Check(r); err != nil {
					faults = append(faults, err.Error())
				}
			}
			for _, f := range d.Faults() {
				faults = append(faults, f.String())
			}
			if got := strings.Join(faults, "; "); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
				t.Errorf("faults = %q, want %q", got, row.want)
			}
			attempts := auditlog.Attempts{
				Since: func(string, []string, time.Time) iter.Seq2[audit.Record, error] {
					return func(yield func(audit.Record, error) bool) {
						for _, r := range row.records {
							if r.Stream == "ATTEMPTS" && (strings.HasSuffix(r.Subject, ".mismatch") || strings.HasSuffix(r.Subject, ".quarantined")) && !yield(r, nil) {
								return
							}
						}
					}
				},
				Oldest: func() (time.Time, bool, error) {
					for _, r := range row.records {
						if r.Stream == "ATTEMPTS" {
							return r.Time, r.Seq == 1, nil
						}
					}
					return time.Time{}, false, errors.New("none")
				},
			}
			judged, err := auditlog.NewDates(0).Judge(row.records[0])
			if errors.Is(err, auditlog.ErrLate) {
				err = attempts.Explain(judged, err)
			}
			if (err != nil) != (row.want != "") {
				t.Errorf("the sealer finds %v, want %q", err, row.want)
			}
		})
	}
}

// Nothing was ever dropped from a stream that nothing was ever stored in.
func TestDatesWithoutAnyAttempt(t *testing.T) {
	t.Parallel()
	d := auditlog.NewDates(0)
	if err := d.Check(came(month, "", nil)); err != nil {
		t.Error(err)
	}
	d.Whole()
	if got := d.Faults(); len(got) != 1 || got[0].String()[:len("JOBS/7: time")] != "JOBS/7: time" {
		t.Errorf("faults = %v, want one of JOBS/7", got)
	}
}
