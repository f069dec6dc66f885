package job_test

import (
	"testing"
	"time"

	"receiver/internal/job"
)

func TestAnEdgeIsReadAsItWasMarked(t *testing.T) {
	want := job.Edge{
		Name: "rim-1", Store: "UABC", Stream: "JOBS", Sequence: 17,
		Stored: time.Date(2026, 11, 23, 12, 30, 0, 123456789, time.UTC),
	}
	header := map[string][]string{}
	want.Mark(header)
	got, marked, err := job.ParseEdge(header)
	if err != nil || !marked || got != want {
		t.Errorf("ParseEdge = %+v, %v, %v, want %+v", got, marked, err, want)
	}
	if got.Record() != "JOBS/17" {
		t.Errorf("Record = %s, want JOBS/17", got.Record())
	}
	if _, marked, err := job.ParseEdge(map[string][]string{"ce-id": {"1"}}); marked || err != nil {
		t.Errorf("ParseEdge of an event that came through no edge = %v, %v, want false", marked, err)
	}
}

func TestRecordsOfEdgesAreDistinct(t *testing.T) {
	base := job.Edge{Name: "rim-1", Store: "UABC", Stream: "JOBS", Sequence: 17, Stored: time.Unix(1, 0).UTC()}
	for name, change := range map[string]func(*job.Edge){
		"another folder":                   func(e *job.Edge) { e.Store = "UDEF" },
		"another stream":                   func(e *job.Edge) { e.Stream = "ATTEMPTS" },
		"another sequence":                 func(e *job.Edge) { e.Sequence = 18 },
		"a sequence that was used already": func(e *job.Edge) { e.Stored = time.Unix(2, 0).UTC() },
	} {
		other := base
		change(&other)
		if other == base || other.ID() == base.ID() {
			t.Errorf("%s: taken for the same record", name)
		}
	}
}

func FuzzParseEdge(f *testing.F) {
	f.Add("rim", "U", "JOBS/17", "2026-11-23T12:30:00Z")
	f.Add("", "", "JOBS", "")
	f.Add("", "", "/18446744073709551616", "x")
	f.Fuzz(func(t *testing.T, name, store, record, stored string) {
		header := map[string][]string{
			"receiver-edge": {name}, "receiver-edge-store": {store}, "receiver-edge-record": {record}, "receiver-edge-stored": {stored},
		}
		e, marked, err := job.ParseEdge(header)
		if err != nil || !marked {
			return
		}
		e.Mark(header)
		if again, _, err := job.ParseEdge(header); err != nil || again != e {
			t.Errorf("ParseEdge of what Mark wrote = %+v, %v, want %+v", again, err, e)
		}
	})
}
