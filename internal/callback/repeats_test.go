package callback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
)

// A captured callback that is sent for hours leaves one record a minute without its body, and
// nothing is lost: the first is recorded before it is answered, the others are counted.
func TestRecordsOfRepeatsAreLimited(t *testing.T) {
	large := strings.Repeat("x", 4<<10)
	for _, tt := range []struct {
		name, first, replay, verdict string
		bodies                       int // kept in ATTEMPTS
		vary                         bool
	}{
		{name: "the end", first: `{"id":"1","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "the end in other bytes", first: `{"id":"1","status":"COMPLETED"}`, replay: `{"id":"1","status":"completed","x":"` + large + `"}`, verdict: job.Duplicate, bodies: 1},
		{name: "another end", first: `{"id":"1","status":"ABORTED","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "progress", first: `{"id":"1","status":"RUNNING","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "unrecognised", first: large, verdict: job.Duplicate},
		{name: "from many addresses, with other headers", first: `{"id":"1","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Duplicate, vary: true},
		{name: "quarantined", first: `{"id":"9","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Quarantined, bodies: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{}
				r := newReceiver(t, s)
				if tt.verdict == job.Quarantined {
					src := source(t, "demo", demoSecret)
					src.Quarantine, src.Expected = true, func(context.Context, string) (bool, error) { return false, nil }
					r.SetSources([]callback.Source{src})
				}
				accepted(t, r, signed(demoSecret, tt.first))
				recorded := len(s.recorded)
				q := signed(demoSecret, tt.first)
				if tt.replay != "" {
					q = signed(demoSecret, tt.replay)
				}
				const n = 600
				for i := range n {
					if tt.vary {
						q.Remote, q.Headers = fmt.Sprint("192.0.2.", i%256), headers(fmt.Sprintf(`{"X":["%d"]}`, i))
					}
					if got := accepted(t, r, q); got.Kind != tt.verdict {
						t.Fatalf("%+v, want %s", got, tt.verdict)
					}
					if i == 0 && recorded == 0 && len(s.recorded) != 1 {
						t.Fatal("the first repeat was answered before it was recorded")
					}
					time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				}
				r.Flush()
				all := append(s.recorded, s.offered...)
				count, bodies := 0, 0
				for _, a := range all {
					if a.Verdict != tt.verdict || a.SHA256 != job.BodySHA256(q.Body) || a.Size != int64(len(q.Body)) || a.Receipt.Key != "2026" {
						t.Fatalf("recorded %s with %d of %d bytes", a.Subject(), len(a.Body), a.Size)
					}
					if count += max(a.Repeats, 1); len(a.Body) > 0 {
						bodies++
					}
				}
				if want := n + recorded; count != want || bodies != tt.bodies || len(all) > n/60*2+2 {
					t.Errorf("%d records with %d bodies tell of %d, want %d with %d bodies", len(all), bodies, count, want, tt.bodies)
				}
			})
		})
	}
}

// A body of at most Options.AttemptBody bytes is kept with the record of a repeat, too.
func TestTheBodyOfARepeat(t *testing.T) {
	body := `{"id":"1","status":"COMPLETED"}`
	for bound, want := range map[int]string{len(body) - 1: "", len(body): body} {
		s := &shelf{}
		r := newReceiver(t, s, func(o *callback.Options) { o.AttemptBody = bound })
		accepted(t, r, signed(demoSecret, body))
		accepted(t, r, signed(demoSecret, body))
		if got := string(s.recorded[0].Body); got != want {
			t.Errorf("the repeat of a body of %d bytes with room for %d is kept as %q, want %q", len(body), bound, got, want)
		}
	}
}

// The first repeat is recorded, those in the minute after it are counted in one record, and a large
// body that no event has is kept once a day.
func TestWhenRepeatsAreRecorded(t *testing.T) {
	for _, tt := range []struct {
		name string
		room int // for a body that is no large one
		at   []time.Duration
		// The result after the last callback: records made before the answer, those of them with
		// the body, and callbacks counted in a later record.
		recorded, bodies, counted int
	}{
		{"again at once", 0, []time.Duration{0, 0}, 1, 1, 0},
		{"again within the minute", 0, []time.Duration{0, 59 * time.Second, 59*time.Second + 999*time.Millisecond}, 1, 1, 0},
		{"until the minute is over", 0, []time.Duration{0, 59 * time.Second, callback.RepeatPause + 1}, 1, 1, 1},
		{"after a minute", 0, []time.Duration{0, callback.RepeatPause}, 2, 1, 0},
		{"after a minute, small", 1 << 10, []time.Duration{0, callback.RepeatPause}, 2, 2, 0},
		{"within a day", 0, []time.Duration{0, callback.RepeatBody - 1}, 2, 1, 0},
		{"after a day", 0, []time.Duration{0, callback.RepeatBody}, 2, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{}
				src := source(t, "demo", demoSecret)
				src.Quarantine, src.Expected = true, func(context.Context, string) (bool, error) { return false, nil }
				body := `{"id":"9","status":"COMPLETED"}`
				r := newReceiver(t, s, func(o *callback.Options) {
					o.Sources, o.AttemptBody = []callback.Source{src}, min(tt.room, len(body))
				})
				began := time.Now()
				for _, at := range tt.at {
					time.Sleep(at - time.Since(began)) //nolint:forbidigo // in a synctest bubble
					accepted(t, r, signed(demoSecret, body))
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				bodies, counted := 0, 0
				for _, a := range s.recorded {
					if a.Body != nil {
						bodies++
					}
				}
				for _, a := range s.offered {
					counted += a.Repeats
				}
				if len(s.recorded) != tt.recorded || bodies != tt.bodies || counted != tt.counted {
					t.Errorf("%d records, %d bodies, %d counted, want %d, %d, %d", len(s.recorded), bodies, counted, tt.recorded, tt.bodies, tt.counted)
				}
			})
		})
	}
}

// Repeats of 1,024 callbacks are counted. One more replaces the oldest, which a record reports.
func TestRepeatsOfManyCallbacks(t *testing.T) {
	const most = 1024
	s := &shelf{}
	src := source(t, "demo", demoSecret)
	src.Quarantine, src.Expected = true, func(context.Context, string) (bool, error) { return false, nil }
	r := newReceiver(t, s, func(o *callback.Options) { o.Sources = []callback.Source{src} })
	come := func(id int) { accepted(t, r, signed(demoSecret, fmt.Sprintf(`{"id":%d,"status":"COMPLETED"}`, id))) }
	for id := range most {
		come(id)
	}
	for _, step := range []struct{ id, recorded, offered int }{
		{0, most, 0},        // counted
		{1, most, 0},        // counted
		{most, most + 1, 1}, // in the place of 0, of which a record tells
		{0, most + 2, 2},    // in the place of 1
		{2, most + 2, 2},    // counted
	} {
		come(step.id)
		if len(s.recorded) != step.recorded || len(s.offered) != step.offered {
			t.Errorf("after %d: %d recorded and %d offered, want %d and %d", step.id, len(s.recorded), len(s.offered), step.recorded, step.offered)
		}
	}
}

// slow is a store that records when it is let.
type slow struct {
	*shelf
	let chan error
}

func (s slow) Record(ctx context.Context, a job.Attempt) error {
	if err := <-s.let; err != nil {
		return err
	}
	return s.shelf.Record(ctx, a)
}

// A repeat that comes while the record of another is being made waits for it, as long as its
// context lets it.
func TestARepeatWaitsForTheRecord(t *testing.T) {
	for _, tt := range []struct {
		name     string
		first    error
		cancel   bool
		second   error
		recorded int
	}{
		{name: "it is made", recorded: 1},
		{name: "it fails, and the repeat makes one", first: errDown, recorded: 1},
		{name: "the context ends", cancel: true, second: callback.ErrUnavailable, recorded: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := slow{&shelf{}, make(chan error, 2)}
				r := newReceiver(t, s)
				q := signed(demoSecret, `{"id":"1","status":"COMPLETED"}`)
				accepted(t, r, q)
				errs := make(chan error, 2)
				go func() {
					_, err := r.Accept(t.Context(), q)
					errs <- err
				}()
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					_, err := r.Accept(ctx, q)
					errs <- err
				}()
				synctest.Wait()
				if len(errs) > 0 {
					t.Fatalf("answered before the record is made: %v", <-errs)
				}
				if tt.cancel {
					cancel()
					if err := <-errs; !errors.Is(err, tt.second) {
						t.Errorf("the repeat: %v, want %v", err, tt.second)
					}
				}
				s.let <- tt.first
				if err := <-errs; !errors.Is(err, tt.first) {
					t.Errorf("the first: %v, want %v", err, tt.first)
				}
				s.let <- nil
				if !tt.cancel {
					if err := <-errs; err != nil {
						t.Errorf("the repeat: %v", err)
					}
				}
				if len(s.recorded) != tt.recorded {
					t.Errorf("%d records, want %d", len(s.recorded), tt.recorded)
				}
			})
		})
	}
}

// A repeat is answered by the result of its own record, not of another one.
func TestARepeatThatIsNotRecordedIsNotAnswered200(t *testing.T) {
	s := &shelf{}
	r := newReceiver(t, s)
	q := signed(demoSecret, `{"id":"1","status":"COMPLETED"}`)
	accepted(t, r, q)
	s.failRecord = errors.New("down")
	for range 2 {
		if got, err := r.Accept(t.Context(), q); err == nil {
			t.Errorf("%+v though the store is down", got)
		}
	}
	s.failRecord = nil
	accepted(t, r, q)
	if len(s.recorded) != 1 {
		t.Errorf("%d records, want the one", len(s.recorded))
	}
}

func accepted(t *testing.T, r *callback.Receiver, q callback.Request) callback.Outcome {
	t.Helper()
	out, err := r.Accept(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
