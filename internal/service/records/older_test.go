package records_test

import (
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
)

// The records that a list leaves out are counted by sequences, of the streams that it reads.
func TestOlderRecordsAreCounted(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	before := time.Now()
	first := natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	natstest.Store(t, bus, natstest.Called(job.Finished, "2", "COMPLETED"))
	natstest.Store(t, bus, natstest.Called(job.Finished, "3", "COMPLETED"))
	natstest.Must(t, bus.Record(t.Context(), natstest.Attempt("mismatch")))
	stored := func(seq uint64) (at time.Time) {
		for e, err := range records.Entries(t.Context(), bus, records.Query{}) {
			if natstest.Must(t, err); e.Stream == conn.JobsStream && e.Sequence == seq {
				at = e.Stored
			}
		}
		return at
	}
	rows := []struct {
		name  string
		since time.Time
		want  int64
	}{
		{"nothing is older than all", time.Time{}, 0},
		{"nothing is older than the first", before.Add(-time.Hour), 0},
		{"one of three, and not the record at that time", stored(2), 1},
		{"all of both streams", time.Now().Add(time.Hour), 4},
	}
	for _, tt := range rows {
		q := records.Query{}
		q.Filter.Since = tt.since
		got, err := records.Older(t.Context(), bus, q)
		if err != nil || got.Records != tt.want || tt.want > 0 && !got.Since.Equal(stored(first.Sequence)) {
			t.Errorf("%s: Older = %+v, %v, want %d", tt.name, got, err, tt.want)
		}
	}
	natstest.Must(t, natstest.Drop(t.Context(), bus, conn.JobsStream, 3))
	q := records.Query{}
	q.Filter.Since = time.Now().Add(time.Hour)
	if got, err := records.Older(t.Context(), bus, q); err != nil || got.Records != 2 || !got.Since.After(stored(3).Add(-time.Millisecond)) {
		t.Errorf("after two were dropped: Older = %+v, %v, want 2 from the third on", got, err)
	}
}
