package joblist_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"reflect"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
)

// storage is a stream and a place for snapshots in memory.
type storage struct {
	events   []job.Brief
	from     uint64 // where the last reading began
	snapshot []byte
	name     string
	first    uint64
	saved    chan bool
}

func (s *storage) Briefs(ctx context.Context, from uint64, follow bool) iter.Seq2[[]job.Brief, error] {
	return func(yield func([]job.Brief, error) bool) {
		if follow {
			<-ctx.Done()
			return
		}
		s.from = from
		for _, e := range s.events {
			if e.Sequence >= from && !yield([]job.Brief{e}, nil) {
				return
			}
		}
	}
}

func (s *storage) Snapshot(context.Context) ([]byte, error) { return s.snapshot, nil }

func (s *storage) SaveSnapshot(_ context.Context, data io.Reader) (err error) {
	s.snapshot, err = io.ReadAll(data)
	s.saved <- true
	return err
}

func (s *storage) Identity(context.Context) (name string, first, last uint64, err error) {
	return s.name, s.first, s.events[len(s.events)-1].Sequence, nil
}

// events are those of a few jobs with everything that a record can hold.
func events() []job.Brief {
	all := []job.Brief{
		brief(1, "demo", "gone", job.Submitted, 90, "CREATED", ""),
		brief(2, "demo", "1", job.Finished, 100, "COMPLETED", "contact"),
		brief(3, "demo", "1", job.Submitted, 95, "CREATED", "contact"), // overtaken by its callback
		brief(4, "crm", "a.b *>é", job.Progress, 200, "PONDERING", "R&D"),
		brief(5, "demo", "1", job.Errors, 300, "", ""),
		brief(6, "demo", "1", job.Conflict, 301, "ABORTED", ""),
		brief(7, "demo", "1", job.Progress, -5, "", ""), // a clock that went wrong
	}
	for i := uint64(10); i < 10_000; i++ { // more than a chunk
		all = append(all, brief(i, "demo", fmt.Sprint(i), job.Submitted, int64(i), "CREATED", "contact"))
	}
	return all
}

func all(t *testing.T, p *joblist.Projection) (jobs []joblist.Listed) {
	t.Helper()
	q := joblist.Query{Limit: joblist.MaxPage, Reverse: true}
	for {
		page, err := p.List(q)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, page.Jobs...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return jobs
		}
	}
}

// snapshot runs a projection of a storage until it has saved one.
func snapshot(t *testing.T) *storage {
	t.Helper()
	s := &storage{events: events(), name: "x", first: 1, saved: make(chan bool, 1)}
	p := joblist.NewSaving(joblist.Options{Briefs: s, Snapshots: s})
	stop := following(t, p.Run)
	<-s.saved
	stop()
	return s
}

func TestASnapshotIsAsGoodAsTheStream(t *testing.T) {
	s := snapshot(t)
	last := s.events[len(s.events)-1].Sequence
	s.events = append(s.events, brief(last+1, "demo", "1", job.Overdue, 400, "", ""), brief(last+2, "new", "1", job.Finished, 400, "ERROR", "else"))
	for _, tt := range []struct {
		name   string
		change func(*storage)
		from   uint64 // where reading goes on
		gone   int    // jobs that are not listed any more
	}{
		{"as it was saved", func(*storage) {}, last + 1, 0},
		{"messages too old meanwhile", func(s *storage) { s.first = 2 }, last + 1, 1},
		{"another stream", func(s *storage) { s.name = "y" }, 1, 0},
		{"a stream that is behind", func(s *storage) { s.events = s.events[:20] }, 1, 0},
		{"another version", func(s *storage) { s.snapshot[0]++ }, 1, 0},
		{"cut short", func(s *storage) { s.snapshot = s.snapshot[:len(s.snapshot)/2] }, 1, 0},
		{"cut at the end", func(s *storage) { s.snapshot = s.snapshot[:len(s.snapshot)-1] }, 1, 0},
		{"with something behind", func(s *storage) { s.snapshot = append(s.snapshot, 0) }, 1, 0},
		{"with a word that there is not", func(s *storage) { s.snapshot = oneJob(7) }, 1, 0},
		{"empty", func(s *storage) { s.snapshot = []byte{} }, 1, 0},
		{"none", func(s *storage) { s.snapshot = nil }, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := *s
			c.snapshot = bytes.Clone(s.snapshot)
			tt.change(&c)
			got := joblist.NewProjection(joblist.Options{Briefs: &c, Snapshots: &c})
			if err := got.Fill(t.Context()); err != nil || c.from != tt.from {
				t.Fatalf("Fill = %v, and began with %d, want %d", err, c.from, tt.from)
			}
			whole := joblist.NewProjection(joblist.Options{})
			whole.Add(c.events)
			want := all(t, whole)[tt.gone:]
			if got := all(t, got); !reflect.DeepEqual(got, want) {
				t.Errorf("%d jobs, want %d; the first is\n%+v, want\n%+v", len(got), len(want), got[0], want[0])
			}
			if counts := got.Counts(); counts["demo"][joblist.Conflict] != 1 || counts["new"][joblist.Finished] != 1 && len(c.events) > 20 {
				t.Errorf("Counts = %v", counts)
			}
		})
	}
}

// oneJob is a snapshot with one job, whose source is that word, and one word, the empty.
func oneJob(source byte) []byte {
	data := append([]byte("receiver projection 4\n\x01x"), 2)            // the next sequence
	data = append(data, 1, 1, 'j', 0, source, 0, 0, 0, 0, 0, 0, 0, 0, 0) // first, id, last, words, times, counts
	data = append(data, 1, 1, 0, 0)                                      // state and so on
	return append(data, 0, 1, 0, 0)                                      // no further job; one word, which is empty; none left out
}

func TestOneJobIsASnapshot(t *testing.T) {
	s := &storage{events: events(), name: "x", first: 1, snapshot: oneJob(0)}
	p := joblist.NewProjection(joblist.Options{Briefs: s, Snapshots: s})
	if err := p.Fill(t.Context()); err != nil || s.from != 2 || p.Counts()[""][joblist.Submitted] != 1 {
		t.Errorf("Fill = %v, began with %d, and %v, want one job of no source from the snapshot", err, s.from, p.Counts())
	}
}

func TestASnapshotIsNotWrittenWithoutNeed(t *testing.T) {
	s := snapshot(t)
	p := joblist.NewSaving(joblist.Options{Briefs: s, Snapshots: s})
	stop := following(t, p.Run)
	<-p.Ready()
	select {
	case <-s.saved:
		t.Error("saved what is saved already")
	case <-time.After(20 * time.Millisecond):
	}
	stop()
}

func TestASnapshotOfAStream(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, bus, natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	o := joblist.Options{Briefs: bus, Snapshots: bus}
	stop := following(t, joblist.NewSaving(o).Run)
	natstest.Eventually(t, "the snapshot", func() bool {
		data, err := bus.Snapshot(t.Context())
		return err == nil && data != nil
	})
	stop()
	natstest.Store(t, bus, natstest.Event(job.Submitted, "2", "CREATED"))
	p := joblist.NewProjection(o)
	err := p.Fill(t.Context())
	if submitted, _ := p.Known("demo", "2"); err != nil || p.Len() != 2 || !submitted {
		t.Errorf("Fill = %v, and %d jobs, want 2", err, p.Len())
	}
}

func FuzzSnapshot(f *testing.F) {
	s := &storage{events: events()[:7], name: "x", first: 1, saved: make(chan bool, 1)}
	p := joblist.NewSaving(joblist.Options{Briefs: s, Snapshots: s})
	stop := following(f, p.Run)
	<-s.saved
	stop()
	f.Add(s.snapshot)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := *s
		c.snapshot = data
		p := joblist.NewProjection(joblist.Options{Briefs: &c, Snapshots: &c})
		if err := p.Fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, q := range []joblist.Query{{}, {Sort: joblist.ByID, Text: "x"}} {
			if _, err := p.List(q); err != nil {
				t.Fatal(err)
			}
		}
	})
}
