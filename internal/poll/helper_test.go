package poll_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
	"receiver/internal/publish"
)

// quick is a plan in milliseconds; deadline and end are far enough not to be met.
var quick = poll.Schedule{
	Expected: 10 * time.Millisecond, Retry: 5 * time.Millisecond, Cap: 20 * time.Millisecond,
	Deadline: time.Minute, Slow: 20 * time.Millisecond, Retention: time.Minute,
}

// platform answers questions after jobs as its funcs say, and counts what is asked and
// what is counted.
type platform struct {
	status func(ctx context.Context, id string, n int) (string, error)
	rows   func(id string, n int) ([]poll.Row, error)

	mu     sync.Mutex
	asked  map[string]int
	counts map[string]int
}

func newPlatform(status func(ctx context.Context, id string, n int) (string, error)) *platform {
	return &platform{status: status, asked: map[string]int{}, counts: map[string]int{}}
}

// says is a platform that gives one answer after another, the last one for ever. An
// answer that does not begin with a brace is an error.
func says(answers ...string) *platform {
	return newPlatform(func(_ context.Context, id string, n int) (string, error) {
		answer := answers[min(n, len(answers))-1]
		if !strings.HasPrefix(answer, "{") {
			return "", errors.New(answer)
		}
		return strings.ReplaceAll(answer, "ID", id), nil
	})
}

func (p *platform) count(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[name]
}

func (p *platform) add(m func(*platform) map[string]int, name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	m(p)[name]++
	return m(p)[name]
}

func (p *platform) questions(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[id]
}

func asked(p *platform) map[string]int  { return p.asked }
func counts(p *platform) map[string]int { return p.counts }

func (p *platform) options(b *publish.Store) poll.Options {
	return poll.Options{
		Store: b,
		Status: func(ctx context.Context, _, id string) ([]byte, error) {
			body, err := p.status(ctx, id, p.add(asked, id))
			return []byte(body), err
		},
		Rows: func(_ context.Context, _, id string) iter.Seq2[poll.Row, error] {
			return func(yield func(poll.Row, error) bool) {
				rows, err := p.rows(id, p.add(asked, id+" rows"))
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
				if err != nil {
					yield(poll.Row{}, err)
				}
			}
		},
		Schedule: func(string, string) poll.Schedule { return quick },
		Classify: func(err error) string { return strings.Fields(err.Error())[0] },
		Count:    func(what, source, outcome string) { p.add(counts, what+" "+source+" "+outcome) },
		Timeout:  400 * time.Millisecond, TurnTimeout: 10 * time.Second,
	}
}

// run runs a watcher until the returned func is called, or the test ends.
func run(t *testing.T, o poll.Options) (w *poll.Watcher, stop func()) {
	t.Helper()
	return runLimited(t, o, poll.Limits{})
}

// runLimited is run with other limits.
func runLimited(t *testing.T, o poll.Options, l poll.Limits) (w *poll.Watcher, stop func()) {
	t.Helper()
	w, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Limit(l)
	stop = background(t, w.Run)
	t.Cleanup(stop)
	return w, stop
}

// background calls run until stop is called; stop waits until run has returned.
func background(t testing.TB, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// callback is the event of a callback with that body.
func callback(t testing.TB, k job.Kind, body string) job.Event {
	t.Helper()
	v, err := job.Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	return job.Event{
		Kind: k, Source: "demo", Job: v, Time: at, Evidence: job.ByCallback, Data: []byte(body),
		Receipt: &job.Receipt{Received: at, Key: "k", Remote: "192.0.2.7"},
	}
}

// submitted is the event of a submission just now.
func submitted(id string) job.Event {
	return job.Event{
		Kind: job.Submitted, Source: "demo", Time: time.Now().UTC(), Evidence: job.ByUs, Data: []byte(`{}`),
		Job: job.View{ID: id, Status: "CREATED", Object: "contact", Direction: "UPLOAD"},
	}
}

// publishBy publishes events by a watcher, as a receiver of callbacks does.
func publishBy(t testing.TB, w *poll.Watcher, events ...job.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := w.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func publishAll(t testing.TB, b *publish.Store, events ...job.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// history returns the events of a job as `kind` or `kind result`, with `by evidence`.
func history(t testing.TB, b *publish.Store, id string) []string {
	t.Helper()
	events, err := b.Job(t.Context(), "demo", id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range joblist.Fold(events).History {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Result))+" by "+string(e.Evidence))
	}
	return got
}

// awaitHistory waits until a job has exactly these events, and then a while longer for
// one too many.
func awaitHistory(t *testing.T, b *publish.Store, id string, want ...string) {
	t.Helper()
	var got []string
	ok := await(func() bool {
		got = history(t, b, id)
		return len(got) >= len(want)
	})
	if !ok || !slices.Equal(got, want) {
		t.Fatalf("job %s has the events %q, want %q", id, got, want)
	}
}

// awaitNoWatch waits until the job has no watch any more.
func awaitNoWatch(t *testing.T, b *publish.Store, id string) {
	t.Helper()
	natstest.Eventually(t, "the watch to end", func() bool {
		_, there, err := b.Watched(t.Context(), "demo", id)
		return err == nil && !there
	})
}

func await(holds func() bool) bool {
	deadline := time.After(time.Minute)
	for !holds() {
		select {
		case <-deadline:
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return true
}

// attempts returns the bodies of the attempts with a verdict.
func attempts(t testing.TB, b *publish.Store, verdict string) []string {
	t.Helper()
	var bodies []string
	for a, err := range b.Attempts(t.Context(), "demo", verdict, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(a.Body))
	}
	return bodies
}
