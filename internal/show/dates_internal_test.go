package show

import (
	"slices"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/job"
)

// Each date of a record names whose clock it is by.
func TestDatesNameTheirClocks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	edge := job.Event{Kind: job.Finished, Source: "demo", Job: job.View{ID: "1"}, Time: at, Evidence: job.ByCallback, Receipt: &job.Receipt{Received: at}}.Header().Map()
	job.Edge{Name: "plant", Stream: "JOBS", Sequence: 4, Stored: at.Add(time.Second)}.Mark(edge)
	for _, row := range []struct {
		name     string
		subject  string
		header   map[string][]string
		cosigned []audit.Cosignature
		want     []string
	}{
		{
			"a callback", "jobs.demo.1.finished", map[string][]string{"receiver-received": {"2026-03-01T12:00:00Z"}, "ce-time": {"2026-03-01T12:00:00Z"}}, nil,
			[]string{"received 12:00:00 the receiver's clock", "stored 12:00:05 the NATS server's clock", "sealed - without a witness only this receiver dates it"},
		},
		{
			"an event of our own", "jobs.demo.1.submitted", map[string][]string{"ce-time": {"2026-03-01T12:00:00Z"}}, nil,
			[]string{"happened 12:00:00 the receiver's clock", "stored 12:00:05 the NATS server's clock", "sealed - without a witness only this receiver dates it"},
		},
		{
			"cosigned", "jobs.demo.1.submitted", nil, []audit.Cosignature{{Witness: "w.example", Time: at.Add(time.Minute)}},
			[]string{"stored 12:00:05 the NATS server's clock", "cosigned 12:01:00 the clock of witness w.example: it was sealed by then"},
		},
		{
			"by an edge", "jobs.demo.1.finished", edge, nil,
			[]string{
				"received 12:00:00 the edge's clock", "stored at the edge 12:00:01 the edge's clock", "stored 12:00:05 the NATS server's clock",
				"sealed - without a witness only this receiver dates it",
			},
		},
		{
			"a time that is none", "jobs.demo.1.finished", map[string][]string{"receiver-received": {"soon"}}, nil,
			[]string{"stored 12:00:05 the NATS server's clock", "sealed - without a witness only this receiver dates it"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := audit.Record{Stream: "JOBS", Seq: 1, Subject: row.subject, Header: row.header, Time: at.Add(5 * time.Second)}
			var got []string
			for _, d := range datesOf(r, row.cosigned) {
				when := "-"
				if d.Time != nil {
					when = d.Time.Format(time.TimeOnly)
				}
				got = append(got, d.What+" "+when+" "+d.Word)
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("dates = %q, want %q", got, row.want)
			}
			e := ownEvent(r)
			if cells := entryRow(e); e.ID != "JOBS/1" || cells[1] != "-" || cells[5] != "1" {
				t.Errorf("its row is %q, want its id, its job and no time of arrival", cells)
			}
		})
	}
}
