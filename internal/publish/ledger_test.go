package publish_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Headers are read from the files of an embedded server, and otherwise from the server.
func TestBriefs(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]*publish.Store{
		"a server here":      natstest.Open(t, natstest.Start(t, t.TempDir())),
		"a server elsewhere": natstest.Dial(t, natstest.NewServer(t, 0).External(), conn.Options{}),
	} {
		t.Run(name, func(t *testing.T) { briefs(t, b) })
	}
}

func briefs(t *testing.T, b *publish.Store) {
	read := func(from uint64) (got []job.Brief) {
		for batch, err := range b.Briefs(t.Context(), from, false) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, batch...)
		}
		return got
	}
	if got := read(1); len(got) != 0 {
		t.Errorf("Briefs of an empty stream gave %v", got)
	}
	const jobs = 700 // more than a batch
	for i := range jobs {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Submitted, fmt.Sprint(i), "CREATED")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Publish(t.Context(), natstest.Unrecognised("x")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, first uint64
		want        int
	}{{0, 1, jobs}, {1, 1, jobs}, {jobs, jobs, 1}, {jobs + 1, 0, 0}, {jobs + 2, 0, 0}} {
		got := read(tt.from)
		if len(got) != tt.want || len(got) > 0 && (got[0].Sequence != tt.first || got[len(got)-1].Sequence != jobs) {
			t.Errorf("Briefs from %d gave %d events, want %d, those of sequences %d to %d", tt.from, len(got), tt.want, tt.first, jobs)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := 0
	for batch, err := range b.Briefs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if seen++; seen == jobs {
				if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, "x", "ABORTED")); err != nil {
					t.Fatal(err)
				}
			}
			if e.Kind == job.Finished {
				if e.ID != "x" || e.Status != "ABORTED" || e.Result != job.Failed || seen != jobs+1 {
					t.Errorf("followed to %+v after %d events", e, seen)
				}
				return
			}
		}
	}
	t.Error("Briefs did not follow")
}

// This process announces the events that it stores; the events of other processes are found by
// polling the stream. Each event comes once, in the order of the stream.
func TestBriefsFollowsEveryWriter(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	here, there := natstest.Open(t, s), natstest.Open(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const each = 200
	var wg sync.WaitGroup
	for name, b := range map[string]*publish.Store{"here": here, "there": there} {
		for c := range 4 {
			wg.Go(func() {
				for i := range each / 4 {
					e := natstest.Event(job.Submitted, fmt.Sprint(name, "-", c, "-", i), "CREATED")
					if i%10 == 0 {
						e = natstest.Unrecognised(fmt.Sprint(name, c, i))
					}
					if _, err := b.Publish(t.Context(), e); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	seen, last := map[string]bool{}, uint64(0)
	for batch, err := range here.Briefs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if e.Sequence > last { // an event may be announced and then read from the stream
				last = e.Sequence
				seen[e.ID] = true
			}
		}
		if len(seen) == 2*each*9/10 {
			break
		}
	}
	wg.Wait()
	if len(seen) != 2*each*9/10 {
		t.Errorf("followed to %d jobs, want %d", len(seen), 2*each*9/10)
	}
}

// A follower reads again and again. Each read removes what the server keeps for it.
func TestBriefsLeavesNoConsumers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b := natstest.Dial(t, s.External(), conn.Options{})
	natstest.Store(t, b, natstest.Event(job.Submitted, "1", "CREATED"))
	for range 20 {
		for _, err := range b.Briefs(t.Context(), 1, false) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	stream, err := s.JetStream().Stream(t.Context(), conn.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n > 1 {
		t.Errorf("%d consumers are left of 20 readings, want 1 at most", n)
	}
}

// In a cluster all servers must agree on each consumer that is created. Replicas follow one another
// without consumers, even if many events are stored at once.
func TestBriefsFollowsWithoutConsumers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	b, other := natstest.Dial(t, s.External(), conn.Options{}), natstest.Dial(t, s.External(), conn.Options{})
	s.JetStream()
	var consumers atomic.Int64
	if _, err := s.Conn.Subscribe("$JS.API.CONSUMER.CREATE.JOBS.>", func(*nats.Msg) { consumers.Add(1) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Conn.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const alone, together = 5, 300
	var ids []string
	natstest.Store(t, other, natstest.Event(job.Submitted, "0", "CREATED"))
	for batch, err := range b.Briefs(ctx, 1, true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch {
			if e.Sequence > 0 {
				ids = append(ids, e.ID)
			}
		}
		switch n := len(ids); {
		case n < alone:
			natstest.Store(t, other, natstest.Event(job.Finished, fmt.Sprint(n), "COMPLETED"))
		case n == alone:
			if got := consumers.Load(); got > 0 {
				t.Errorf("%d consumers were made to read %d events, one after the other", got, n)
			}
			for i := range together {
				natstest.Store(t, other, natstest.Event(job.Finished, fmt.Sprint(n+i), "COMPLETED"))
			}
		}
		if len(ids) == alone+together {
			break
		}
	}
	for i, id := range ids {
		if id != fmt.Sprint(i) {
			t.Fatalf("event %d is of job %s", i, id)
		}
	}
	if len(ids) != alone+together {
		t.Errorf("followed %d events, want %d", len(ids), alone+together)
	}
}
