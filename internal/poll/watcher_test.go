package poll_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

const (
	running   = `{"id":"ID","status":"RUNNING"}`
	completed = `{"id":"ID","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`
)

// Each row is one job, submitted, and the answers of the platform to one question after
// the other. The watch ends in every one.
func TestEveryJobReachesItsEnd(t *testing.T) {
	t.Parallel()
	short := quick
	short.Deadline, short.Retention = 30*time.Millisecond, time.Minute
	shorter := short
	shorter.Retention = 400 * time.Millisecond
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		id      string // says what is promised
		plan    poll.Schedule
		answers []string
		want    []string
		counted []string // each at least once
	}{
		{
			id: "no-callback", plan: quick, answers: []string{completed},
			want:    []string{"submitted by receiver", "finished succeeded by poll"},
			counted: []string{"look demo finished"},
		},
		{
			id: "takes-its-time", plan: quick, answers: []string{running, running, `{"id":"ID","status":"running"}`, completed},
			want:    []string{"submitted by receiver", "progress by poll", "finished succeeded by poll"},
			counted: []string{"look demo running"},
		},
		{
			id: "nothing-new-is-no-progress", plan: quick, answers: []string{`{"id":"ID","status":"CREATED"}`, completed},
			want: []string{"submitted by receiver", "finished succeeded by poll"},
		},
		{
			id: "unknown-is-no-end", plan: quick, answers: []string{`{"id":"ID","status":"PONDERING"}`, `{"id":"ID","status":"ABORTED"}`},
			want:    []string{"submitted by receiver", "progress by poll", "finished failed by poll"},
			counted: []string{"look demo unknown"},
		},
		{
			id: "platform-trouble-ends-nothing", plan: quick,
			answers: []string{"401 no", "404 gone", "429 slow down", "503 down", `{"hello":1}`, `{"id":"another","status":"COMPLETED"}`, completed},
			want:    []string{"submitted by receiver", "finished succeeded by poll"},
			counted: []string{"look demo 401", "look demo 404", "look demo 429", "look demo 503", "look demo unreadable"},
		},
		{
			id: "answer-without-id", plan: quick, answers: []string{`{ "status" : "CANCELLED" } `},
			want: []string{"submitted by receiver", "finished cancelled by poll"},
		},
		{
			id: "overdue-once-then-finished", plan: short,
			answers: append(slices.Repeat([]string{running}, 8), completed),
			want:    []string{"submitted by receiver", "progress by poll", "overdue by receiver", "finished succeeded by poll"},
			counted: []string{"overdue demo answered"},
		},
		{
			id: "lost-when-nobody-knows", plan: shorter, answers: []string{"404 gone"},
			want:    []string{"submitted by receiver", "overdue by receiver", "lost by receiver"},
			counted: []string{"overdue demo unanswered", "lost demo unanswered"},
		},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p := says(tt.answers...)
			o := p.options(bus)
			o.Schedule = func(string, string) poll.Schedule { return tt.plan }
			_, stop := run(t, o)
			publishAll(t, bus, submitted(tt.id))
			awaitHistory(t, bus, tt.id, tt.want...)
			awaitNoWatch(t, bus, tt.id)
			stop()
			for _, name := range tt.counted {
				if p.count(name) == 0 {
					t.Errorf("nothing counted as %q", name)
				}
			}
		})
	}
}

func TestFinishedJobIsNotPolled(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(completed)
	publishAll(t, bus, submitted("1"), callback(t, job.Finished, `{"id":"1","status":"COMPLETED"}`))
	_, stop := run(t, p.options(bus))
	awaitNothingPending(t, bus, "last")
	awaitNoWatch(t, bus, "1")
	stop()
	awaitHistory(t, bus, "1", "submitted by receiver", "finished succeeded by callback")
	if n := p.questions("1"); n != 0 {
		t.Errorf("asked %d times after a job that had ended, want 0", n)
	}
}

// awaitNothingPending waits until all that was published before has been reacted to: until
// another job has come to its end.
func awaitNothingPending(t *testing.T, bus *publish.Store, id string) {
	t.Helper()
	publishAll(t, bus, submitted(id))
	awaitHistory(t, bus, id, "submitted by receiver", "finished succeeded by poll")
}

func TestACallbackThatIsFasterStands(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		id, callback, status string
		want                 []string
		late                 int
	}{
		{
			"same", `{"id":"same","status":"COMPLETED"}`, `{"id":"same","status":"SUCCESS"}`,
			[]string{"submitted by receiver", "finished succeeded by callback"}, 1,
		},
		{
			"other", `{"id":"other","status":"COMPLETED"}`, `{"id":"other","status":"ABORTED"}`,
			[]string{"submitted by receiver", "finished succeeded by callback", "conflict failed by poll"}, 0,
		},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p := newPlatform(func(context.Context, string, int) (string, error) {
				publishAll(t, bus, callback(t, job.Finished, tt.callback)) // between our question and its answer
				return tt.status, nil
			})
			before := len(attempts(t, bus, job.Late))
			_, stop := run(t, p.options(bus))
			publishAll(t, bus, submitted(tt.id))
			awaitHistory(t, bus, tt.id, tt.want...)
			awaitNoWatch(t, bus, tt.id)
			stop()
			late := attempts(t, bus, job.Late)[before:]
			if len(late) != tt.late || tt.late == 1 && late[0] != tt.status {
				t.Errorf("recorded as late %q, want %d", late, tt.late)
			}
		})
	}
}

func TestAWatchShowsWhatThePlatformAnswered(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(running, "503 down for "+strings.Repeat("maintenance ", 100))
	run(t, p.options(bus))
	publishAll(t, bus, submitted("1"))
	var w job.Watch
	natstest.Eventually(t, "three failures", func() bool {
		w, _, _ = bus.Watched(t.Context(), "demo", "1")
		return w.Failures >= 3
	})
	if w.Looks != w.Failures+1 || w.Status != "RUNNING" || !strings.HasPrefix(w.Error, "503 down") || len(w.Error) > 512 || w.Last.IsZero() {
		t.Errorf("watch = %+v, want one look that told RUNNING and then failures", w)
	}
}

func TestAWatchForgetsAnErrorThatIsOver(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says("503 down", running)
	run(t, p.options(bus))
	publishAll(t, bus, submitted("1"))
	var w job.Watch
	natstest.Eventually(t, "two looks", func() bool {
		w, _, _ = bus.Watched(t.Context(), "demo", "1")
		return w.Looks >= 2
	})
	if w.Error != "" || w.Failures != 1 {
		t.Errorf("watch = %+v, want one failure, which is over", w)
	}
}

func TestPausesGrow(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	var mu sync.Mutex
	var asked []time.Time
	p := newPlatform(func(_ context.Context, id string, _ int) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, time.Now())
		return strings.ReplaceAll(running, "ID", id), nil
	})
	o := p.options(bus)
	const ms = time.Millisecond
	o.Schedule = func(string, string) poll.Schedule {
		return poll.Schedule{Expected: 20 * ms, Retry: 10 * ms, Cap: 40 * ms, Deadline: 160 * ms, Slow: 120 * ms, Retention: time.Hour}
	}
	_, stop := run(t, o)
	e := submitted("1")
	publishAll(t, bus, e)
	natstest.Eventually(t, "two questions after the deadline", func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := len(asked)
		return n > 2 && asked[n-2].After(e.Time.Add(160*ms))
	})
	stop()
	pauses := []time.Duration{20 * ms, 10 * ms, 20 * ms, 40 * ms, 40 * ms}
	last := e.Time
	for i, at := range asked {
		want := 120 * ms // overdue
		switch {
		case at.Before(e.Time.Add(160*ms)) && i < len(pauses):
			want = pauses[i]
		case last.Before(e.Time.Add(160 * ms)):
			want = 0 // the look at the deadline
		}
		// The server knows a delay only by its own clock, and to a millisecond or so.
		if pause := at.Sub(last); pause < want-2*ms {
			t.Errorf("question %d came after %v, want %v at least", i, pause, want)
		}
		last = at
	}
}

func TestPolledEventSaysWhetherItWasExpected(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	w, _ := run(t, says(completed).options(bus))
	publishAll(t, bus, submitted("expected"))
	for id, want := range map[string]bool{"expected": false, "unexpected": true} {
		if err := w.PollNow(t.Context(), "demo", id); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, bus, id)
		events, err := bus.Job(t.Context(), "demo", id)
		if err != nil {
			t.Fatal(err)
		}
		if e := events[len(events)-1]; e.Unexpected != want {
			t.Errorf("job %s ended with Unexpected %v, want %v", id, e.Unexpected, want)
		}
	}
}

func awaitEnd(t *testing.T, bus *publish.Store, id string) {
	t.Helper()
	natstest.Eventually(t, "the end of the job", func() bool {
		return slices.Contains(history(t, bus, id), "finished succeeded by poll")
	})
}

func TestPollNowBringsAQuestionForward(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	here, there := natstest.Open(t, s), natstest.Open(t, s)
	far := quick
	far.Expected, far.Retry, far.Cap, far.Deadline = time.Hour, time.Hour, time.Hour, 9*time.Hour
	p := says(completed)
	o := p.options(there)
	o.Schedule = func(string, string) poll.Schedule { return far }
	run(t, o)
	idle, err := poll.New(p.options(here)) // on another replica, which itself does not poll
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, id string
		do       func()
	}{
		{"of a watch", "watched", func() {
			publishAll(t, here, submitted("watched"))
			natstest.Eventually(t, "the watch to begin", func() bool {
				_, ok, _ := here.Watched(t.Context(), "demo", "watched")
				return ok
			})
			if err := idle.PollNow(t.Context(), "demo", "watched"); err != nil {
				t.Error(err)
			}
		}},
		{"of a job that nobody watches", "unwatched", func() {
			if err := idle.PollNow(t.Context(), "demo", "unwatched"); err != nil {
				t.Error(err)
			}
		}},
		{"by an unknown status", "unknown", func() {
			publishBy(t, idle, callback(t, job.Progress, `{"id":"unknown","status":"PONDERING"}`))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.do()
			awaitEnd(t, here, tt.id)
			awaitNoWatch(t, here, tt.id)
		})
	}
	publishBy(t, idle, submitted("waits"), callback(t, job.Progress, `{"id":"waits","status":"RUNNING"}`))
	natstest.Eventually(t, "the watch to begin", func() bool {
		_, ok, _ := here.Watched(t.Context(), "demo", "waits")
		return ok
	})
	if n := p.questions("waits"); n != 0 {
		t.Errorf("asked %d times after a job whose status is known, want 0 before its time", n)
	}
}

func TestHangingSourceDelaysNoOther(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := newPlatform(func(ctx context.Context, id string, _ int) (string, error) {
		if strings.HasPrefix(id, "hangs") {
			<-ctx.Done() // to the end of the test
			return "", ctx.Err()
		}
		return strings.ReplaceAll(completed, "ID", id), nil
	})
	o := p.options(bus)
	o.Timeout, o.TurnTimeout = time.Minute, 3*time.Minute
	limits := poll.Limits{Workers: 4, PerSource: 2}
	runLimited(t, o, limits)
	for i := range 8 {
		e := submitted(fmt.Sprint("hangs-", i))
		e.Source = "slow"
		publishAll(t, bus, e)
	}
	natstest.Eventually(t, "the source to hang", func() bool {
		n := 0
		for i := range 8 {
			n += p.questions(fmt.Sprint("hangs-", i))
		}
		return n == limits.PerSource
	})
	publishAll(t, bus, submitted("1"))
	awaitHistory(t, bus, "1", "submitted by receiver", "finished succeeded by poll")
}

// One of two replicas is stopped while it polls. Every job ends once all the same, and none waits
// for the stopped replica.
func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	a, b := natstest.Open(t, s), natstest.Open(t, s)
	const jobs = 60
	p := newPlatform(func(ctx context.Context, id string, n int) (string, error) {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Millisecond):
		}
		if n < 3 {
			return strings.ReplaceAll(running, "ID", id), nil
		}
		return strings.ReplaceAll(completed, "ID", id), nil
	})
	_, stop := run(t, p.options(a))
	run(t, p.options(b))
	for i := range jobs {
		publishAll(t, b, submitted(fmt.Sprint(i)))
	}
	natstest.Eventually(t, "a third of the jobs to be asked after", func() bool {
		asked := 0
		for i := range jobs {
			asked += min(p.questions(fmt.Sprint(i)), 1)
		}
		return asked > jobs/3
	})
	stop()
	for i := range jobs {
		id := fmt.Sprint(i)
		awaitHistory(t, b, id, "submitted by receiver", "progress by poll", "finished succeeded by poll")
		awaitNoWatch(t, b, id)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	whole := says(completed).options(bus)
	for _, tt := range []struct {
		name   string
		change func(*poll.Options)
	}{
		{"no store", func(o *poll.Options) { o.Store = nil }},
		{"no status", func(o *poll.Options) { o.Status = nil }},
		{"no rows", func(o *poll.Options) { o.Rows = nil }},
		{"turn timeout within the time of a question", func(o *poll.Options) { o.TurnTimeout = 2 * o.Timeout }},
	} {
		o := whole
		tt.change(&o)
		if _, err := poll.New(o); err == nil {
			t.Errorf("%s: New = nil error", tt.name)
		}
	}
}

// Other parts of the platform's answer may contain it too: the id of the job, or the word for its
// status. These are stored with the watch and in events, and logged.
func TestATokenInAStrangeAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	const token = "nZkQ3c0rT8mXv5yWb1LqJgUuA2FhS9dEoPiK"
	short := quick
	short.Deadline, short.Retention = 30*time.Millisecond, 200*time.Millisecond
	for _, tt := range []struct{ name, answer string }{
		{"id", `{"id":"https://r.example.com/callbacks/demo/` + token + `","status":"RUNNING"}`},
		{"status", `{"id":"ID","status":"calling /callbacks/demo/` + token + `"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
			o := says(tt.answer).options(bus)
			o.Schedule = func(string, string) poll.Schedule { return short }
			var logged bytes.Buffer
			o.Log = zerolog.New(zerolog.SyncWriter(&logged))
			w, stop := run(t, o)
			if _, err := w.Confirm("demo", poll.ConfirmAlways)(t.Context(), end("told")); err != nil {
				t.Fatal(err)
			}
			publishAll(t, bus, submitted("1"))
			var kept []string
			natstest.Eventually(t, "the job to be lost", func() bool {
				if watch, there, _ := bus.Watched(t.Context(), "demo", "1"); there {
					kept = append(kept, string(watch.Data()))
				}
				return slices.Contains(history(t, bus, "1"), "lost by receiver")
			})
			stop()
			for m, err := range bus.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, fmt.Sprint(m.Header, string(m.Data)))
			}
			for _, text := range append(kept, logged.String()) {
				if strings.Contains(text, token) {
					t.Errorf("the token is kept in %s", text)
				}
			}
		})
	}
}

// The platform's answer may hold the address that it calls back at, with the token that the
// receiver made for it.
func TestATokenInAnAnswerIsNotKept(t *testing.T) {
	t.Parallel()
	const token = "nZkQ3c0rT8mXv5yWb1LqJgUuA2FhS9dEoPiK"
	const address = `"notification_url":"https://r.example.com/callbacks/demo/` + token + `"`
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(`{"id":"ID","status":"RUNNING",`+address+`}`, `{"id":"ID","status":"ABORTED","error":"no answer from /callbacks/demo/`+token+`",`+address+`}`)
	_, stop := run(t, p.options(bus))
	publishAll(t, bus, submitted("told"))
	awaitHistory(t, bus, "told", "submitted by receiver", "progress by poll", "finished failed by poll")
	awaitNoWatch(t, bus, "told")
	stop()
	polled := 0
	for m, err := range bus.Messages(t.Context(), publish.Watch{Stream: conn.JobsStream}) {
		if err != nil {
			t.Fatal(err)
		}
		if whole := fmt.Sprint(m.Header, string(m.Data)); strings.Contains(whole, token) {
			t.Errorf("%s holds the token: %s", m.Subject, whole)
		}
		if m.Header["receiver-redacted"] != nil {
			polled++
		}
	}
	if polled != 2 {
		t.Errorf("%d events say that they were redacted, want 2", polled)
	}
}
