package poll_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	n := func(i int64) *int64 { return &i }
	whole := job.View{Status: "COMPLETED", Result: job.Succeeded, Records: n(2), Failed: n(0)}
	bare := job.View{Status: "COMPLETED", Result: job.Succeeded}
	aborted := job.View{Status: "ABORTED", Result: job.Failed}
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i, tt := range []struct {
		name   string
		mode   poll.Confirm
		told   job.View
		answer string
		asked  int
		want   bool
	}{
		{"always, the same", poll.ConfirmAlways, whole, completed, 1, true},
		{"always, spelt otherwise", poll.ConfirmAlways, whole, `{"id":"ID","jobStatus":"success"}`, 1, true},
		{"always, not over", poll.ConfirmAlways, whole, running, 1, false},
		{"always, another end", poll.ConfirmAlways, aborted, completed, 1, false},
		{"always, with failed rows", poll.ConfirmAlways, bare, `{"id":"ID","status":"COMPLETED","recordsFailedCount":1}`, 1, false},
		{"always, no answer", poll.ConfirmAlways, whole, "503 down", 1, false},
		{"unsigned, all is signed", poll.ConfirmUnsigned, whole, running, 0, true},
		{"unsigned, the count is not", poll.ConfirmUnsigned, bare, completed, 1, true},
		{"unsigned, the count is not, and differs", poll.ConfirmUnsigned, bare, `{"id":"ID","status":"COMPLETED","recordsFailedCount":1}`, 1, false},
		{"unsigned, no count is needed", poll.ConfirmUnsigned, aborted, running, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprint(i)
			tt.told.ID = id
			p := says(tt.answer)
			w, err := poll.New(p.options(bus))
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.Confirm("demo", tt.mode)(t.Context(), tt.told)
			if got != tt.want || err != nil {
				t.Errorf("Confirm = %v, %v, want %v", got, err, tt.want)
			}
			if asked := p.questions(id); asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			watch, watched, err := bus.Watched(t.Context(), "demo", id)
			if err != nil || watched == tt.want {
				t.Errorf("watched is %v, %v, want %v", watched, err, !tt.want)
			}
			if watched && watch.Next.After(time.Now()) {
				t.Errorf("asked after at %v, want at once", watch.Next)
			}
		})
	}
	w, err := poll.New(says(running).options(bus))
	if err != nil {
		t.Fatal(err)
	}
	if w.Confirm("demo", poll.ConfirmNever) != nil || w.Confirm("demo", "") != nil {
		t.Error("Confirm never is not nil")
	}
}

// A repeated callback causes no request, no write and no entry in the recently unconfirmed.
func TestRepeatNeedsNoConfirmation(t *testing.T) {
	t.Parallel()
	const ended, aborted = `{"id":"ID","status":"COMPLETED"}`, `{"id":"ID","status":"ABORTED"}`
	s := natstest.Start(t, t.TempDir())
	bus := natstest.Open(t, s)
	for i, tt := range []struct {
		name  string
		there []string // the outcomes that came before, the second as a conflict
		told  string
		want  bool // known; else it is asked, and the platform is down
	}{
		{"the same end", []string{ended}, ended, true},
		{"the same end, spelt otherwise", []string{ended}, `{"id":"ID","jobStatus":"success"}`, true},
		{"another end", []string{ended}, aborted, false},
		{"another end that was told, too", []string{ended, aborted}, aborted, true},
		{"a third end", []string{ended, aborted}, `{"id":"ID","status":"CANCELLED"}`, false},
		{"no end", nil, ended, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprint("known-", i)
			of := func(k job.Kind, body string) job.Event { return callback(t, k, strings.ReplaceAll(body, "ID", id)) }
			publishAll(t, bus, of(job.Progress, running))
			for i, body := range tt.there {
				publishAll(t, bus, of([]job.Kind{job.Finished, job.Conflict}[i], body))
			}
			for _, b := range []*publish.Store{bus, natstest.Open(t, s)} { // with the cache of the writer, and without
				p := says("503 down")
				w, err := poll.New(p.options(b))
				if err != nil {
					t.Fatal(err)
				}
				got, err := w.Confirm("demo", poll.ConfirmAlways)(t.Context(), of(job.Finished, tt.told).Job)
				if got != tt.want || err != nil {
					t.Errorf("Confirm = %v, %v, want %v", got, err, tt.want)
				}
				if asked := p.questions(id) > 0; asked == tt.want {
					t.Errorf("asked is %v, want %v", asked, !tt.want)
				}
			}
			if _, watched, err := bus.Watched(t.Context(), "demo", id); err != nil || watched == tt.want {
				t.Errorf("watched is %v, %v, want %v", watched, err, !tt.want)
			}
		})
	}
}

// A callback is stored as an attempt in the time that its answer may take: the rest of that time is
// for the store.
func TestASlowPlatformLeavesTimeToStore(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := newPlatform(hang)
	w, err := poll.New(p.options(bus))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if got, err := w.Confirm("demo", poll.ConfirmAlways)(ctx, end("1")); got || err != nil {
		t.Errorf("Confirm = %v, %v, want false and no error", got, err)
	}
	if _, watched, err := bus.Watched(t.Context(), "demo", "1"); !watched || err != nil {
		t.Errorf("watched is %v, %v, want true", watched, err)
	}
}

// Callbacks that come together wait for one another, as many as may be at a source.
func TestConfirmationsTakeTurns(t *testing.T) {
	t.Parallel()
	const places = 2
	var now, most atomic.Int32
	other := make(chan bool)
	p := newPlatform(func(_ context.Context, id string, _ int) (string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		select { // two at once there are, or nobody is answered
		case other <- true:
		case <-other:
		}
		return strings.ReplaceAll(completed, "ID", id), nil
	})
	o := p.options(natstest.Open(t, natstest.Start(t, t.TempDir())))
	w, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Limit(poll.Limits{PerSource: places, ConfirmTimeout: time.Minute})
	var all sync.WaitGroup
	for i := range 10 * places {
		all.Go(func() {
			if got, err := w.Confirm("demo", poll.ConfirmAlways)(t.Context(), end(fmt.Sprint(i))); !got || err != nil {
				t.Errorf("Confirm = %v, %v, want true", got, err)
			}
		})
	}
	all.Wait()
	if most.Load() > places {
		t.Errorf("%d questions at once, want %d at most", most.Load(), places)
	}
}

// If the semaphore is not free in time, the callback is stored as unconfirmed, the platform is not
// polled for it, and other sources do not wait.
func TestConfirmationWithoutTheSemaphore(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := newPlatform(hang)
	o := p.options(bus)
	ask := o.Status
	o.Status = func(ctx context.Context, source, id string) ([]byte, error) {
		if source == "other" {
			return []byte(strings.ReplaceAll(completed, "ID", id)), nil
		}
		return ask(ctx, source, id)
	}
	w, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Limit(poll.Limits{PerSource: 1, ConfirmTimeout: 10 * time.Second})
	defer background(t, func(ctx context.Context) { _, _ = w.Confirm("demo", poll.ConfirmAlways)(ctx, end("1")) })()
	natstest.Eventually(t, "the place to be taken", func() bool { return p.questions("1") == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if got, err := w.Confirm("other", poll.ConfirmAlways)(ctx, end("2")); !got || err != nil {
		t.Errorf("Confirm at another source = %v, %v, want true", got, err)
	}
	if got, err := w.Confirm("demo", poll.ConfirmAlways)(ctx, end("3")); got || err != nil {
		t.Errorf("Confirm without a place = %v, %v, want false and no error", got, err)
	}
	_, watched, err := bus.Watched(t.Context(), "demo", "3")
	if !watched || err != nil || p.questions("3") > 0 || p.count("confirm demo busy") != 1 {
		t.Errorf("watched is %v, %v, asked %d times, counted as busy %d times, want it watched, not asked, counted once",
			watched, err, p.questions("3"), p.count("confirm demo busy"))
	}
}

// A callback that was not confirmed a moment ago is being polled for anyway: its repeat costs
// neither a poll nor a watch.
func TestUnconfirmedJobIsNotPolledAgainAtOnce(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(running)
	o := p.options(bus)
	now := time.Now()
	o.Now = func() time.Time { return now }
	w, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	aborted := job.View{ID: "1", Status: "ABORTED", Result: job.Failed}
	var first job.Watch
	for i, tt := range []struct {
		name  string
		later time.Duration
		told  job.View
		asked int // in all
	}{
		{"first", 0, end("1"), 1},
		{"again", 0, end("1"), 1},
		{"a while later", 59 * time.Second, end("1"), 1},
		{"another end", 0, aborted, 2},
		{"later than that", time.Second, end("1"), 3},
	} {
		now = now.Add(tt.later)
		if got, err := w.Confirm("demo", poll.ConfirmAlways)(t.Context(), tt.told); got || err != nil {
			t.Errorf("%s: Confirm = %v, %v, want false", tt.name, got, err)
		}
		if got := p.questions("1"); got != tt.asked {
			t.Errorf("%s: asked %d times, want %d", tt.name, got, tt.asked)
		}
		watch, _, err := bus.Watched(t.Context(), "demo", "1")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = watch
		}
		if changed := watch.Sequence != first.Sequence; changed != (tt.asked > 1) {
			t.Errorf("%s: the watch was written again: %v, want %v", tt.name, changed, !changed)
		}
	}
}

// end is a job that a callback says has ended well.
func end(id string) job.View {
	n := int64(0)
	return job.View{ID: id, Status: "COMPLETED", Result: job.Succeeded, Failed: &n}
}

func hang(ctx context.Context, _ string, _ int) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func TestSubmittedJobsAreExpected(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	publishAll(t, bus, submitted("1"), callback(t, job.Finished, `{"id":"2","status":"COMPLETED"}`))
	for _, tt := range []struct {
		name               string
		known, current     bool // by memory
		quarantine, closed bool // the store cannot be asked
		stored, notStored  bool // what Expected says of a job that was submitted, and of one that was not
		fails              bool
	}{
		{name: "memory is not current: the store says", stored: true},
		{name: "memory knows", known: true, closed: true, stored: true, notStored: true},
		{name: "memory is current and does not know", current: true, closed: true},
		{name: "a quarantine is not decided by memory", current: true, quarantine: true, stored: true},
		{name: "nor without the store", current: true, quarantine: true, closed: true, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := says(running).options(bus)
			if tt.closed {
				o.Store = cannotBeAsked{bus}
			}
			o.Known = func(string, string) (bool, bool) { return tt.known, tt.current }
			o.Quarantine = func(string) bool { return tt.quarantine }
			w, err := poll.New(o)
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range map[string]bool{"1": tt.stored, "2": tt.notStored, "3": tt.notStored} {
				if got, err := w.Expected("demo")(t.Context(), id); got != want || (err != nil) != tt.fails {
					t.Errorf("Expected(%s) = %v, %v, want %v, an error %v", id, got, err, want, tt.fails)
				}
			}
		})
	}
}

// cannotBeAsked is a store that answers no question.
type cannotBeAsked struct{ *publish.Store }

func (cannotBeAsked) Has(context.Context, string, string, job.Kind) (bool, error) {
	return false, conn.ErrUnavailable
}

func TestRelease(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before []job.Event
		aside  []string
		want   []string // events afterwards
	}{
		{
			name: "an end", aside: []string{`{"id":"1","status":"COMPLETED"}`},
			want: []string{"finished succeeded by callback"},
		},
		{
			name: "the whole way", aside: []string{`{"id":"1","status":"RUNNING"}`, `{"id":"2","status":"RUNNING"}`, `{"id":"1","status":"COMPLETED"}`},
			want: []string{"progress by callback", "finished succeeded by callback"},
		},
		{
			name: "twice the same", aside: []string{`{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"COMPLETED"}`},
			want: []string{"finished succeeded by callback"},
		},
		{
			name: "another end", aside: []string{`{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"ABORTED"}`},
			want: []string{"finished succeeded by callback", "conflict failed by callback"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
			w, err := poll.New(says(running).options(bus))
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range tt.aside {
				putAside(t, bus, body)
			}
			for _, existed := range []bool{false, true} {
				events, err := w.Release(t.Context(), "demo", "1")
				if err != nil || len(events) == 0 || events[0].Existed != existed {
					t.Fatalf("Release = %v, %v, want events with Existed %v", events, err, existed)
				}
				if e := events[0]; !existed && (e.Receipt == nil || e.Receipt.Key != "k" || !e.Unexpected) {
					t.Errorf("released %+v, want the callback as it came, unexpected", e)
				}
			}
			awaitHistory(t, bus, "1", tt.want...)
			if got := history(t, bus, "2"); len(got) != 0 {
				t.Errorf("another job has the events %q, want none", got)
			}
		})
	}
}

func TestReleaseOfNothing(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	w, err := poll.New(says(running).options(bus))
	if err != nil {
		t.Fatal(err)
	}
	putAside(t, bus, `{"id":"2","status":"COMPLETED"}`)
	if events, err := w.Release(t.Context(), "demo", "1"); !errors.Is(err, poll.ErrNotQuarantined) {
		t.Errorf("Release = %v, %v, want ErrNotAside", events, err)
	}
}

// A callback that overtook the answer to its submission was quarantined. It is released when the
// submitted event arrives; or, if it came in between, at the first poll.
func TestSubmissionReleasesAQuarantinedCallback(t *testing.T) {
	t.Parallel()
	far := quick
	far.Expected, far.Deadline = time.Hour, 2*time.Hour
	for _, tt := range []struct {
		name  string
		plan  poll.Schedule
		first bool // the callback
	}{
		{"the callback first", far, true},
		{"the submission first", quick, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
			o := says(running).options(bus)
			o.Quarantine = func(string) bool { return true }
			o.Schedule = func(string, string) poll.Schedule { return tt.plan }
			run(t, o)
			if tt.first {
				putAside(t, bus, `{"id":"1","status":"COMPLETED"}`)
			}
			publishAll(t, bus, submitted("1"))
			natstest.Eventually(t, "the watch to begin", func() bool {
				_, ok, _ := bus.Watched(t.Context(), "demo", "1")
				return ok
			})
			if !tt.first {
				putAside(t, bus, `{"id":"1","status":"COMPLETED"}`)
			}
			natstest.Eventually(t, "the release", func() bool {
				return slices.Contains(history(t, bus, "1"), "finished succeeded by callback")
			})
		})
	}
}

// A receiver with the identity releases an encrypted quarantined callback. A receiver without it
// reports that, and polls for the job.
func TestUnreadableCallbackStaysQuarantined(t *testing.T) {
	t.Parallel()
	flip := func(data []byte) ([]byte, error) {
		data = slices.Clone(data)
		slices.Reverse(data)
		return data, nil
	}
	s := natstest.Start(t, t.TempDir())
	blind := natstest.OpenWith(t, s, conn.Options{Encrypt: flip})
	o := says(completed).options(blind)
	o.Quarantine = func(string) bool { return true }
	o.Schedule = func(string, string) poll.Schedule { return quick }
	putAside(t, blind, `{"id":"1","status":"COMPLETED"}`)
	putAside(t, blind, `{"id":"2","status":"COMPLETED"}`)
	run(t, o)
	publishAll(t, blind, submitted("1"))
	natstest.Eventually(t, "the platform to tell of the end", func() bool {
		return slices.Contains(history(t, blind, "1"), "finished succeeded by poll")
	})
	w, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := w.Release(t.Context(), "demo", "2"); !errors.Is(err, poll.ErrEncrypted) {
		t.Errorf("Release = %v, %v, want ErrEncrypted", events, err)
	}
	reader, err := poll.New(says(completed).options(natstest.OpenWith(t, s, conn.Options{Encrypt: flip, Decrypt: flip})))
	if err != nil {
		t.Fatal(err)
	}
	if events, err := reader.Release(t.Context(), "demo", "2"); err != nil || len(events) != 1 || events[0].Existed {
		t.Errorf("Release by who can read = %v, %v, want a new event", events, err)
	}
}

func putAside(t *testing.T, bus *publish.Store, body string) {
	t.Helper()
	if err := bus.Record(t.Context(), job.Attempt{
		Source: "demo", Verdict: job.Quarantined, Receipt: job.Receipt{Received: time.Now(), Key: "k"},
		Body: []byte(body), Size: int64(len(body)), SHA256: job.BodySHA256([]byte(body)),
	}); err != nil {
		t.Fatal(err)
	}
}
