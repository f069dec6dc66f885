package poll_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/poll"
)

var errUnknown = errors.New("404 no such job")

// Each row is a job whose deadline and retention passed while no receiver ran.
func TestExpiredJobIsPolledBeforeItIsLost(t *testing.T) {
	t.Parallel()
	const down = "503 down"
	lost := []string{"submitted by receiver", "overdue by receiver", "lost by receiver"}
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		id      string // says what is promised
		before  func(*testing.T, job.Event)
		answers []string
		want    []string
		asked   int
		more    int // questions that may be added
	}{
		{id: "ended-meanwhile", answers: []string{completed}, want: []string{"submitted by receiver", "finished succeeded by poll"}, asked: 1},
		{
			id: "still-running", answers: []string{running}, asked: 1,
			want: []string{"submitted by receiver", "progress by poll", "overdue by receiver", "lost by receiver"},
		},
		{id: "unknown-to-the-platform", answers: []string{errUnknown.Error()}, want: lost, asked: 1},
		{
			id: "no-network-yet", answers: []string{down, down, completed}, asked: 3,
			want: []string{"submitted by receiver", "overdue by receiver", "finished succeeded by poll"},
		},
		{id: "nobody-answers", answers: []string{down}, want: lost, asked: 4},
		{
			id: "has-finished", answers: []string{completed}, want: []string{"submitted by receiver", "finished succeeded by callback"},
			before: func(t *testing.T, e job.Event) {
				publishAll(t, bus, callback(t, job.Finished, `{"id":"`+e.Job.ID+`","status":"COMPLETED","recordsFailedCount":0}`))
			},
		},
		{
			id: "is-lost", answers: []string{completed}, want: []string{"submitted by receiver", "lost by receiver"},
			before: func(t *testing.T, e job.Event) {
				publishAll(t, bus, job.Event{Kind: job.Lost, Source: e.Source, Job: e.Job, Time: time.Now(), Evidence: job.ByUs, Data: []byte("{}")})
			},
		},
		{
			// The submission begins a watch of its own if it is handed out between the two
			// questions and processed after them.
			id: "was-watched", answers: []string{down, errUnknown.Error()}, want: lost, asked: 2, more: 1,
			before: func(t *testing.T, e job.Event) {
				if ok, err := bus.PutWatch(t.Context(), job.Watch{Source: "demo", Job: e.Job.ID, Since: e.Time, Next: e.Time, Last: e.Time, Looks: 9, Failures: 9}); !ok || err != nil {
					t.Fatal(ok, err)
				}
			},
		},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p := says(tt.answers...)
			old := submitted(tt.id)
			old.Time = time.Now().Add(-time.Hour)
			publishAll(t, bus, old)
			if tt.before != nil {
				tt.before(t, old)
			}
			_, stop := run(t, lateOptions(p.options(bus)))
			defer stop()
			if tt.asked == 0 {
				awaitNothingPending(t, bus, "last-"+tt.id)
			}
			awaitHistory(t, bus, tt.id, tt.want...)
			awaitNoWatch(t, bus, tt.id)
			if n := p.questions(tt.id); n < tt.asked || n > tt.asked+tt.more {
				t.Errorf("asked %d times, want %d and %d more at most", n, tt.asked, tt.more)
			}
		})
	}
}

// However many jobs there are, a source is polled for few of them at once.
func TestManyExpiredJobsArePolledInTurn(t *testing.T) {
	t.Parallel()
	const jobs = 60
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	var now, most atomic.Int64
	p := newPlatform(func(context.Context, string, int) (string, error) {
		most.Store(max(most.Load(), now.Add(1))) // close enough: it can only count too few
		defer now.Add(-1)
		<-time.After(time.Millisecond)
		return "", errUnknown
	})
	for i := range jobs {
		old := submitted(fmt.Sprint("old-", i))
		old.Time = time.Now().Add(-time.Hour)
		publishAll(t, bus, old)
	}
	o := lateOptions(p.options(bus))
	runLimited(t, o, poll.Limits{PerSource: 3})
	for i := range jobs {
		id := fmt.Sprint("old-", i)
		awaitHistory(t, bus, id, "submitted by receiver", "overdue by receiver", "lost by receiver")
		if n := p.questions(id); n != 1 {
			t.Errorf("job %s was asked after %d times, want once", id, n)
		}
	}
	if most.Load() > 3 {
		t.Errorf("%d questions at once, want 3 at most", most.Load())
	}
}

// The errors of rows are asked for once, too, if no receiver ran while the platform kept them.
func TestExpiredErrorsOfRowsAreRequestedOnce(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		id   string
		rows func(string, int) ([]poll.Row, error)
		want int
		gone int
	}{
		{"there-after-all", gives(1, poll.Row{Text: "x"}), 2, 0},
		{"gone", func(string, int) ([]poll.Row, error) { return nil, errUnknown }, 1, 1},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p := says(completed)
			p.rows = tt.rows
			o := p.options(bus)
			long := time.Now().Add(-2 * job.Retention)
			e := callback(t, job.Finished, `{"id":"`+tt.id+`","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`)
			e.Time = long
			publishAll(t, bus, e)
			if ok, err := bus.PutWatch(t.Context(), job.Watch{Source: "demo", Job: tt.id, Since: long, Next: long}); !ok || err != nil {
				t.Fatal(ok, err)
			}
			_, stop := run(t, o)
			defer stop()
			awaitNoWatch(t, bus, tt.id)
			if n := p.questions(tt.id + " rows"); n != 1 || len(history(t, bus, tt.id)) != tt.want || p.count("errors demo gone") != tt.gone {
				t.Errorf("asked %d times, %d gone, and the job has the events %q", n, p.count("errors demo gone"), history(t, bus, tt.id))
			}
		})
	}
}

func lateOptions(o poll.Options) poll.Options {
	o.Unknown = func(err error) bool { return err.Error() == errUnknown.Error() }
	return o
}
