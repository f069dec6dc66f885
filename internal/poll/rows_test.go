package poll_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestErrorsOfRowsAreFetchedOnce(t *testing.T) {
	t.Parallel()
	row := poll.Row{Text: "bad e-mail", Raw: json.RawMessage(`{"status":"bad e-mail"}`)}
	const finished = `{"id":"ID","status":"COMPLETED","recordsCount":9,"recordsFailedCount":%d}`
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i, tt := range []struct {
		name      string
		failed    int
		heard     time.Duration // ago
		rows      func(id string, n int) ([]poll.Row, error)
		want      int // errors in the event; -1 if there is none
		truncated bool
		counted   string
	}{
		{name: "none failed", failed: 0, want: -1},
		{name: "some failed", failed: 2, rows: gives(2, row), want: 2, counted: "errors demo published"},
		{
			name: "the platform fails first", failed: 2, want: 2, counted: "errors demo 503",
			rows: func(_ string, n int) ([]poll.Row, error) {
				if n < 3 {
					return []poll.Row{row}, errors.New("503 broken off")
				}
				return []poll.Row{row, row}, nil
			},
		},
		{
			name: "the platform has them later", failed: 1, want: 1, counted: "errors demo the",
			rows: func(_ string, n int) ([]poll.Row, error) { return gives(min(n-1, 1), row)("", n) },
		},
		{name: "the platform names none", failed: 1, rows: gives(0, row), want: 0, counted: "errors demo published"},
		{name: "more than is kept", failed: 500, rows: gives(500, row), want: 30, truncated: true},
		{name: "a row that is no JSON", failed: 1, rows: gives(1, poll.Row{Text: "x", Raw: json.RawMessage("{")}), want: 1},
		{name: "long ago", failed: 1, heard: 100 * time.Hour, rows: gives(1, row), want: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprint(i)
			p := says(completed)
			p.rows = tt.rows
			o := p.options(bus)
			e := callback(t, job.Finished, strings.ReplaceAll(fmt.Sprintf(finished, tt.failed), "ID", id))
			e.Time = e.Time.Add(-tt.heard)
			w, stop := runLimited(t, o, poll.Limits{MaxErrors: 1000})
			publishBy(t, w, e)
			want := []string{"finished " + string(e.Job.Result) + " by callback"}
			if tt.want >= 0 {
				want = append(want, "errors by poll")
			}
			awaitHistory(t, bus, id, want...)
			natstest.Eventually(t, "it to be counted", func() bool { return tt.counted == "" || p.count(tt.counted) > 0 })
			awaitNothingPending(t, bus, "after-"+id)
			stop()
			if got := history(t, bus, id); !slices.Equal(got, want) {
				t.Fatalf("the job has the events %q, want %q", got, want)
			}
			if n := p.count("errors demo gone"); n != 0 {
				t.Errorf("counted %d as gone, want none: nobody was to ask", n)
			}
			if tt.want >= 0 {
				checkRows(t, bus, id, tt.want, tt.truncated)
			}
		})
	}
}

func checkRows(t *testing.T, bus poll.Events, id string, want int, truncated bool) {
	t.Helper()
	events, err := bus.Job(t.Context(), "demo", id)
	if err != nil {
		t.Fatal(err)
	}
	e := events[len(events)-1]
	rows, err := poll.ParseRows(e.Data)
	if err != nil || rows.Count != want || len(rows.Rows) != want || rows.Truncated != truncated || rows.Job != id || rows.Source != "demo" {
		t.Errorf("ParseRows = %+v, %v, want %d errors, truncated %v", rows, err, want, truncated)
	}
	if got := joblist.Fold(events).Errors; got == nil || got.Count != want || got.Truncated != truncated || got.Sequence != e.Sequence {
		t.Errorf("Fold(…).Errors = %+v, want %d errors of sequence %d", got, want, e.Sequence)
	}
}

// gives is a platform that lists so many rows.
func gives(n int, row poll.Row) func(string, int) ([]poll.Row, error) {
	return func(string, int) ([]poll.Row, error) { return slices.Repeat([]poll.Row{row}, n), nil }
}

func TestErrorsOfRowsAreNotFetchedAgain(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(completed)
	p.rows = gives(1, poll.Row{Text: "x"})
	e := callback(t, job.Finished, `{"id":"1","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`)
	there := e
	there.Kind, there.Data = job.Errors, []byte(`{"count":1,"rows":[{"text":"x"}]}`)
	publishAll(t, bus, there)
	w, _ := run(t, p.options(bus))
	publishBy(t, w, e)
	awaitNothingPending(t, bus, "last")
	if n := p.questions("1 rows"); n != 0 {
		t.Errorf("asked %d times for errors that are there, want 0", n)
	}
}

func TestErrorsOfRowsAreRequestedUntilTheyExpire(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(completed)
	p.rows = func(string, int) ([]poll.Row, error) { return nil, errors.New("503 down") }
	o := p.options(bus)
	var ahead atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w, _ := run(t, o)
	publishBy(t, w, callback(t, job.Finished, `{"id":"1","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`))
	natstest.Eventually(t, "two failures, shown on the job", func() bool {
		j, err := poll.Show(t.Context(), bus, bus, "demo", "1")
		return err == nil && j.Watch != nil && j.Watch.Failures >= 2 && strings.HasPrefix(j.Watch.Error, "503")
	})
	ahead.Store(int64(job.Retention))
	awaitNoWatch(t, bus, "1")
	if p.count("errors demo 503") < 2 || p.count("errors demo gone") != 1 {
		t.Errorf("counted %d failures and %d gone, want 2 or more and 1", p.count("errors demo 503"), p.count("errors demo gone"))
	}
	if got := history(t, bus, "1"); len(got) != 1 {
		t.Errorf("the job has the events %q, want only its end", got)
	}
}

// The process may die after it has stored an event that leaves something to poll for, or the store
// may fail: so the watch is stored before the event.
func TestAWatchIsThereBeforeTheEventThatNeedsIt(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		name, body string
		kind       job.Kind
		watched    bool
	}{
		{"failed rows", `{"id":"ID","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`, job.Finished, true},
		{"an unknown status", `{"id":"ID","status":"PONDERING"}`, job.Progress, true},
		{"no failed rows", `{"id":"ID","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`, job.Finished, false},
		{"a status on the way", `{"id":"ID","status":"RUNNING"}`, job.Progress, false},
	} {
		id := strings.ReplaceAll(tt.name, " ", "-")
		o := says(completed).options(bus)
		o.Store = dies{bus}
		w, err := poll.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Publish(t.Context(), callback(t, tt.kind, strings.ReplaceAll(tt.body, "ID", id))); !errors.Is(err, errDied) {
			t.Errorf("%s: Publish = %v, want the store's error", tt.name, err)
		}
		if watch, there, err := bus.Watched(t.Context(), "demo", id); there != tt.watched || err != nil || there && !watch.Next.After(time.Now()) {
			t.Errorf("%s: Watched = %+v, %v, %v, want %v, and its time to come", tt.name, watch, there, err, tt.watched)
		}
	}
}

// dies is a store that stores no event.
type dies struct{ *publish.Store }

var errDied = errors.New("died")

func (dies) Publish(context.Context, job.Event) (job.Stored, error) {
	return job.Stored{}, errDied
}

// stuck is a store in which no watch can be put.
type stuck struct{ *publish.Store }

func (stuck) PutWatch(context.Context, job.Watch) (bool, error) {
	return false, conn.ErrUnavailable
}

// A callback with failed rows may come to another replica while the platform is being asked.
// That one finds a watch, and then may not be able to bring it forward.
func TestRowsAreFetchedWhateverTheCallbackMet(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	const ended = `{"id":"1","status":"COMPLETED","recordsCount":5,"recordsFailedCount":2}`
	asking, answer := make(chan struct{}), make(chan struct{})
	p := newPlatform(func(_ context.Context, _ string, n int) (string, error) {
		if n == 1 {
			close(asking)
			<-answer
		}
		return ended, nil
	})
	p.rows = func(string, int) ([]poll.Row, error) { return []poll.Row{{Text: "bad"}}, nil }
	run(t, p.options(b))
	publishAll(t, b, submitted("1"))
	<-asking
	o := p.options(b)
	o.Store = stuck{b}
	other, err := poll.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Publish(t.Context(), callback(t, job.Finished, ended)); err != nil {
		t.Fatal(err)
	}
	close(answer)
	awaitHistory(t, b, "1", "submitted by receiver", "finished partial by callback", "errors by poll")
	awaitNoWatch(t, b, "1")
}
