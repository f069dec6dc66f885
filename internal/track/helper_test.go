package track_test

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

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/track"
)

// quick is a plan in milliseconds; deadline and end are far enough not to be met.
var quick = track.Plan{
	Expected: 10 * time.Millisecond, Retry: 5 * time.Millisecond, Cap: 20 * time.Millisecond,
	Deadline: time.Minute, Slow: 20 * time.Millisecond, Retention: time.Minute,
}

func start(t testing.TB) *publish.Server {
	t.Helper()
	s, err := publish.Start(publish.Embedded{Folder: t.TempDir(), Address: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func open(t testing.TB, s *publish.Server) *publish.Bus {
	t.Helper()
	return openWith(t, s, publish.Options{})
}

func openWith(t testing.TB, s *publish.Server, o publish.Options) *publish.Bus {
	t.Helper()
	b, err := s.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return b
}

// platform answers questions after jobs as its funcs say, and counts what is asked and
// what is counted.
type platform struct {
	status func(ctx context.Context, id string, n int) (string, error)
	rows   func(id string, n int) ([]track.Row, error)

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

func (p *platform) options(b *publish.Bus) track.Options {
	return track.Options{
		Store: b,
		Status: func(ctx context.Context, _, id string) ([]byte, error) {
			body, err := p.status(ctx, id, p.add(asked, id))
			return []byte(body), err
		},
		Rows: func(_ context.Context, _, id string) iter.Seq2[track.Row, error] {
			return func(yield func(track.Row, error) bool) {
				rows, err := p.rows(id, p.add(asked, id+" rows"))
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
				if err != nil {
					yield(track.Row{}, err)
				}
			}
		},
		Plan:     func(string, string) track.Plan { return quick },
		Classify: func(err error) string { return strings.Fields(err.Error())[0] },
		Count:    func(what, source, outcome string) { p.add(counts, what+" "+source+" "+outcome) },
		Timeout:  400 * time.Millisecond, Patience: time.Second,
	}
}

// run runs a watcher until the returned func is called, or the test ends.
func run(t *testing.T, o track.Options) (w *track.Watcher, stop func()) {
	t.Helper()
	w, err := track.New(o)
	if err != nil {
		t.Fatal(err)
	}
	stop = background(t, w.Run)
	t.Cleanup(stop)
	return w, stop
}

// background runs what runs until it is told to stop; stop waits until it has.
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

// publishBy publishes events as who tells of a callback does.
func publishBy(t testing.TB, w *track.Watcher, events ...job.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := w.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func publishAll(t testing.TB, b *publish.Bus, events ...job.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := b.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// history returns the events of a job as `kind` or `kind result`, with `by evidence`.
func history(t testing.TB, b *publish.Bus, id string) []string {
	t.Helper()
	events, err := b.Job(t.Context(), "demo", id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range track.Fold(events).History {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s", e.Kind, e.Result))+" by "+string(e.Evidence))
	}
	return got
}

// awaitHistory waits until a job has exactly these events, and then a while longer for
// one too many.
func awaitHistory(t *testing.T, b *publish.Bus, id string, want ...string) {
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

// awaitNoWatch waits until nobody watches a job any more.
func awaitNoWatch(t *testing.T, b *publish.Bus, id string) {
	t.Helper()
	eventually(t, "the watch to end", func() bool {
		_, there, err := b.Watched(t.Context(), "demo", id)
		return err == nil && !there
	})
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !await(holds) {
		t.Fatalf("waited for %s in vain", what)
	}
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
func attempts(t testing.TB, b *publish.Bus, verdict string) []string {
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
