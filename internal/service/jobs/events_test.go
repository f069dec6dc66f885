package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/jobs"
)

// feed has the events 1 to 5 of demo: a job that was submitted and finished, one that failed, and
// what is no job; and of the source mute one that finished.
func feed(t *testing.T) (*jobs.Events, *publish.Store) {
	t.Helper()
	store := natstest.Open(t, natstest.Start(t, t.TempDir()))
	failed := natstest.Event(job.Finished, "2", "FAILED")
	failed.Job.Result = job.Failed
	other := natstest.Event(job.Finished, "1", "COMPLETED")
	other.Source = "mute"
	for i, e := range []job.Event{
		natstest.Event(job.Submitted, "1", "CREATED"), natstest.Event(job.Finished, "1", "COMPLETED"), failed, natstest.Unrecognised("what"), other,
	} {
		if s := natstest.Store(t, store, e); s.Sequence != uint64(i)+1 {
			t.Fatalf("event %d has the sequence %d", i+1, s.Sequence)
		}
	}
	return jobs.NewEvents(store, func() []string { return []string{"demo", "mute"} }, zerolog.Nop()), store
}

// shown says a step in short.
func shown(t *testing.T, f api.Followed) string {
	t.Helper()
	switch f.Name {
	case "":
		return fmt.Sprintf("at %d", f.Sequence)
	case api.GapName:
		apitest.CheckValue(t, "Gap", f.Data)
		return fmt.Sprintf("gap %s at %d", f.Data, f.Sequence)
	}
	apitest.CheckValue(t, "Event", f.Data)
	e := event(t, f)
	if string(e.Kind) != f.Name || e.Sequence != f.Sequence {
		t.Errorf("the event %d %s stands at %d %s", e.Sequence, e.Kind, f.Sequence, f.Name)
	}
	return fmt.Sprintf("%d %s/%s", f.Sequence, e.Source, f.Name)
}

func event(t *testing.T, f api.Followed) (e api.Event) {
	t.Helper()
	if err := json.Unmarshal(f.Data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// steps returns the steps up to a sequence.
func steps(t *testing.T, e *jobs.Events, f api.Follow, to uint64) (all []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, err := e.Follow(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	for step := range events {
		all = append(all, shown(t, step))
		if step.Sequence >= to {
			return all
		}
	}
	t.Errorf("the events ended after %v, before sequence %d", all, to)
	return all
}

func TestWhereAStreamOfEventsBegins(t *testing.T) {
	t.Parallel()
	e, store := feed(t)
	for _, tt := range []struct {
		name string
		from api.Follow
		to   uint64
		want []string
	}{
		{"behind an event", api.Follow{After: 3, Behind: true}, 5, []string{"at 3", "4 demo/unrecognised", "5 mute/finished"}},
		{"behind none", api.Follow{Behind: true}, 2, []string{"at 0", "1 demo/submitted", "2 demo/finished"}},
		{"behind the last", api.Follow{After: 5, Behind: true}, 5, []string{"at 5"}},
		{"with new events", api.Follow{}, 5, []string{"at 5"}},
		{"since a time before all", api.Follow{Since: time.Unix(0, 0)}, 1, []string{"at 0", "1 demo/submitted"}},
		{"since a time after all", api.Follow{Since: time.Now().Add(time.Hour)}, 5, []string{"at 5"}},
	} {
		if got := steps(t, e, tt.from, tt.to); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	_, err := e.Follow(t.Context(), api.Follow{After: 6, Behind: true})
	kind(t, "behind an event that is not there", err, api.AheadOfStream)
	natstest.Must(t, natstest.Drop(t.Context(), store, conn.JobsStream, 6))
	if got, want := steps(t, e, api.Follow{After: 2, Behind: true}, 5), []string{`gap {"from":3,"to":5} at 5`}; !slices.Equal(got, want) {
		t.Errorf("behind an event, when the stream has become empty: %q, want %q at once", got, want)
	}
}

func TestFiltersOfEvents(t *testing.T) {
	t.Parallel()
	e, _ := feed(t)
	for _, tt := range []struct {
		name string
		from api.Follow
		want string
	}{
		{"none", api.Follow{}, "1 2 3 4 5"},
		{"a source", api.Follow{Sources: []string{"mute"}}, "5"},
		{"two sources", api.Follow{Sources: []string{"mute", "demo"}}, "1 2 3 4 5"},
		{"a kind", api.Follow{Kinds: []job.Kind{job.Finished}}, "2 3 5"},
		{"two kinds", api.Follow{Kinds: []job.Kind{job.Submitted, job.Unrecognised}}, "1 4"},
		{"a result", api.Follow{Results: []job.Result{job.Failed}}, "3"},
		{"all together", api.Follow{Sources: []string{"demo"}, Kinds: []job.Kind{job.Finished}, Results: []job.Result{job.Succeeded}}, "2"},
		{"what nothing has", api.Follow{Kinds: []job.Kind{job.Lost}}, ""},
	} {
		tt.from.Behind = true
		var got []string
		for _, step := range steps(t, e, tt.from, 5) { // what is left out is passed on as a sequence
			if seq, what, _ := strings.Cut(step, " "); seq != "at" {
				got = append(got, seq)
				if what == "" {
					t.Errorf("%s: the step %q says nothing", tt.name, step)
				}
			}
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: events %s, want %s", tt.name, got, tt.want)
		}
	}
	_, err := e.Follow(t.Context(), api.Follow{Sources: []string{"demo", "dmeo"}})
	kind(t, "a source that there is not", err, api.BadRequest)
	if !strings.Contains(err.Error(), `"dmeo"`) || !strings.Contains(err.Error(), "demo, mute") {
		t.Errorf("the answer is %q, want the wrong source and those that there are", err)
	}
}

// A gap stands where events are gone, and a message of another client is passed over.
func TestEventsThatAreGone(t *testing.T) {
	t.Parallel()
	e, store := feed(t)
	natstest.Must(t, natstest.Drop(t.Context(), store, conn.JobsStream, 3))
	stream, err := store.JetStream().Stream(t.Context(), conn.JobsStream)
	natstest.Must(t, err)
	natstest.Must(t, stream.DeleteMsg(t.Context(), 4))
	_, err = store.JetStream().Publish(t.Context(), "jobs.demo.7.finished", []byte("no event"))
	natstest.Must(t, err)
	natstest.Store(t, store, natstest.Event(job.Finished, "3", "COMPLETED"))
	want := []string{`gap {"from":2,"to":2} at 2`, "3 demo/finished", `gap {"from":4,"to":4} at 4`, "5 mute/finished", "at 6", "7 demo/finished"}
	if got := steps(t, e, api.Follow{After: 1, Behind: true}, 7); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := steps(t, e, api.Follow{Since: time.Unix(0, 0)}, 3), []string{"at 2", "3 demo/finished"}; !slices.Equal(got, want) {
		t.Errorf("since the first that there is: %q, want %q without a gap", got, want)
	}
}

// An event is given whole, but for a body that would take much memory.
func TestBodiesOfFollowedEvents(t *testing.T) {
	t.Parallel()
	e, store := feed(t)
	small := natstest.Large(natstest.Event(job.Finished, "3", "COMPLETED"), api.LargestFollowed/2)
	large := natstest.Large(natstest.Event(job.Finished, "4", "COMPLETED"), api.LargestFollowed)
	last := uint64(0)
	for _, event := range []job.Event{small, large, natstest.Large(natstest.Event(job.Finished, "5", "COMPLETED"), 9<<20)} {
		last = natstest.Store(t, store, event).Sequence
	}
	events, err := e.Follow(t.Context(), api.Follow{After: 5, Behind: true})
	natstest.Must(t, err)
	var got []api.Event
	for step := range events {
		if step.Name != "" {
			got = append(got, event(t, step))
		}
		if step.Sequence == last {
			break
		}
	}
	if len(got) != 3 || got[0].Body != string(small.Data) || got[0].BodyMissing != "" || len(got[0].Headers) == 0 {
		t.Errorf("got %d events, the first with %d bytes of body, want it whole", len(got), len(got[0].Body))
	}
	for _, event := range got[1:] {
		if event.Body != "" || event.BodyMissing != api.EventBodyMissingLarge || event.Job.Status != "COMPLETED" {
			t.Errorf("the event of a large body: %q, %d bytes, missing %q, want all but the body", event.Job.Status, len(event.Body), event.BodyMissing)
		}
	}
}

// While NATS is away a stream of events waits; then it goes on, without a gap and a repeat.
func TestEventsGoOnWhenNATSIsBack(t *testing.T) {
	t.Parallel()
	server := natstest.NewServer(t, 0)
	store := natstest.Dial(t, server.External(), conn.Options{})
	e := jobs.NewEvents(store, func() []string { return nil }, zerolog.Nop())
	events, err := e.Follow(t.Context(), api.Follow{Behind: true})
	natstest.Must(t, err)
	next, stop := iter.Pull(events)
	defer stop()
	for i := range 2 {
		if i > 0 {
			server.Stop()
			server.Start()
		}
		natstest.Eventually(t, "an event to be stored", func() bool {
			_, err := store.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
			return err == nil
		})
		step, more := next()
		if i == 0 && more {
			step, more = next() // the first says where it begins
		}
		if got, want := shown(t, step), fmt.Sprintf("%d demo/finished", i+1); !more || got != want {
			t.Errorf("after %d restarts: %q, want %q", i, got, want)
		}
	}
}

// All who follow get every event once, whether they keep up, fall far behind or come late.
func TestReadersOfAllPaces(t *testing.T) {
	t.Parallel()
	const all = 3000 // more than are kept for them
	store := natstest.Open(t, natstest.Start(t, t.TempDir()))
	e := jobs.NewEvents(store, func() []string { return nil }, zerolog.Nop())
	put := func(i int) error {
		_, err := store.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
		return err
	}
	reader := func() (next func() (api.Followed, bool), stop func()) {
		events, err := e.Follow(t.Context(), api.Follow{Behind: true})
		natstest.Must(t, err)
		return iter.Pull(events)
	}
	read := func(name string, next func() (api.Followed, bool), from, to uint64) {
		for want := from; want <= to; want++ {
			if step, more := next(); !more || step.Sequence != want || want > 0 && step.Name != "finished" {
				t.Fatalf("%s: got %d %q, %v, want event %d", name, step.Sequence, step.Name, more, want)
			}
		}
	}
	natstest.Must(t, put(0))
	fast, stopFast := reader()
	slow, stopSlow := reader()
	read("the slow one", slow, 0, 1)
	read("the fast one", fast, 0, 1)
	var publishing sync.WaitGroup
	var next atomic.Int64
	for range 32 {
		publishing.Go(func() {
			for i := next.Add(1); i < all; i = next.Add(1) {
				if err := put(int(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	read("the fast one", fast, 2, all)
	publishing.Wait()
	late, stopLate := reader()
	read("the late one", late, 0, all/2)
	read("the slow one", slow, 2, all)
	stopSlow()
	stopFast()
	natstest.Must(t, put(all))
	read("the late one", late, all/2+1, all+1)
	stopLate()
	again, stopAgain := reader()
	defer stopAgain()
	read("one who comes when nobody follows", again, 0, all+1)
}

// A stream that is replaced by another one ends the reading of it; then the other one is read.
func TestEventsOfAnotherStream(t *testing.T) {
	t.Parallel()
	e, store := feed(t)
	events, err := e.Follow(t.Context(), api.Follow{After: 4, Behind: true})
	natstest.Must(t, err)
	next, stop := iter.Pull(events)
	defer stop()
	idle, stopIdle := iter.Pull(events) // one who reads on only when all is over
	defer stopIdle()
	for _, next := range []func() (api.Followed, bool){next, idle} {
		for _, want := range []string{"at 4", "5 mute/finished"} {
			if step, more := next(); !more || shown(t, step) != want {
				t.Errorf("%q, want %q", shown(t, step), want)
			}
		}
	}
	stream, err := store.JetStream().Stream(t.Context(), conn.JobsStream)
	natstest.Must(t, err)
	natstest.Must(t, store.JetStream().DeleteStream(t.Context(), conn.JobsStream))
	if step, more := next(); more {
		t.Errorf("%q after the stream is gone, want the end", shown(t, step))
	}
	_, err = store.JetStream().CreateStream(t.Context(), stream.CachedInfo().Config)
	natstest.Must(t, err)
	natstest.Store(t, store, natstest.Event(job.Finished, "9", "COMPLETED"))
	_, err = e.Follow(t.Context(), api.Follow{After: 5, Behind: true})
	kind(t, "behind an event of the stream before", err, api.AheadOfStream)
	want := []string{"at 0", "1 demo/finished"}
	for n := 2; n < 10; n++ { // beyond where the one before ended
		want = append(want, fmt.Sprintf("%d demo/submitted", natstest.Store(t, store, natstest.Event(job.Submitted, fmt.Sprint(n), "CREATED")).Sequence))
	}
	if got := steps(t, e, api.Follow{Behind: true}, 9); !slices.Equal(got, want) {
		t.Errorf("the other stream: %q, want %q", got, want)
	}
	if step, more := idle(); more {
		t.Errorf("%q to one who follows the stream that is gone, want the end", shown(t, step))
	}
}
