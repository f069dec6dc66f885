package poll_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/poll"
)

// vendorQueue is a platform's queue in memory.
type vendorQueue struct {
	queued   []poll.Queued
	status   map[string]string // by job
	err      error             // of Queued, after all
	released int
}

func (q *vendorQueue) Queued(context.Context) iter.Seq2[poll.Queued, error] {
	return func(yield func(poll.Queued, error) bool) {
		for _, w := range q.queued {
			if !yield(w, nil) {
				return
			}
		}
		if q.err != nil {
			yield(poll.Queued{}, q.err)
		}
	}
}

func (q *vendorQueue) Release(context.Context) (int, error) {
	q.released++
	return len(q.queued), nil
}

func (q *vendorQueue) Status(_ context.Context, id string) ([]byte, error) {
	s, ok := q.status[id]
	if !ok {
		return nil, errors.New("no such job")
	}
	return []byte(s), nil
}

// backfillStore is JOBS in memory: one event for each id.
type backfillStore struct {
	events []job.Stored
	err    error // of Publish
}

func (s *backfillStore) Job(_ context.Context, source, id string) (found []job.Stored, _ error) {
	for _, e := range s.events {
		if e.Source == source && e.Job.ID == id {
			found = append(found, e)
		}
	}
	return found, nil
}

func (s *backfillStore) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	if s.err != nil {
		return job.Stored{}, s.err
	}
	for _, there := range s.events {
		if there.Source == e.Source && there.ID() == e.ID() {
			there.Existed = true
			return there, nil
		}
	}
	stored := job.Stored{Event: e, Sequence: uint64(len(s.events) + 1)}
	s.events = append(s.events, stored)
	return stored, nil
}

func body(id, status string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"status":%q}`, id, status)
}

var backfilledAt = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// told is an event of crm that says what a body of that status would.
func told(k job.Kind, id, status string, by job.Evidence) job.Event {
	v, err := job.Read(body(id, status))
	if err != nil {
		panic(err) // the test's own words
	}
	return job.Event{Kind: k, Source: "crm", Job: v, Time: backfilledAt, Evidence: by, Data: body(id, status)}
}

func queued(id, status string) poll.Queued {
	return poll.Queued{ID: "d" + id, Job: id, Here: true, Body: body(id, status), Created: backfilledAt}
}

func (s *backfillStore) have(t *testing.T, events ...job.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := s.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBackfillCompares(t *testing.T) {
	t.Parallel()
	submitted := told(job.Submitted, "7", "CREATED", job.ByUs)
	finished := told(job.Finished, "7", "COMPLETED", job.ByPoll)
	hidden := poll.Queued{ID: "d7", Job: "7", Here: true}
	elsewhere := queued("7", "COMPLETED")
	elsewhere.Here = false
	for _, tt := range []struct {
		name     string
		there    []job.Event
		queued   poll.Queued
		want     poll.Backlog
		sequence uint64
	}{
		{"nothing is known", nil, queued("7", "COMPLETED"), poll.Missing, 0},
		{"submitted only", []job.Event{submitted}, queued("7", "COMPLETED"), poll.Missing, 0},
		{"running only", []job.Event{told(job.Progress, "7", "RUNNING", job.ByPoll)}, queued("7", "COMPLETED"), poll.Missing, 0},
		{"overdue only", []job.Event{told(job.Overdue, "7", "RUNNING", job.ByUs)}, queued("7", "RUNNING"), poll.Missing, 0},
		{"finished", []job.Event{submitted, finished}, queued("7", "COMPLETED"), poll.Present, 2},
		{"finished, by another spelling", []job.Event{finished}, queued("7", "success"), poll.Present, 1},
		{"finished otherwise", []job.Event{finished}, queued("7", "ABORTED"), poll.Differs, 1},
		{"finished otherwise, and that is known", []job.Event{finished, told(job.Conflict, "7", "ABORTED", job.ByCallback)},
			queued("7", "ABORTED"), poll.Present, 2},
		{"progress of a job that has finished", []job.Event{finished}, queued("7", "RUNNING"), poll.Present, 1},
		{"progress that is known", []job.Event{told(job.Progress, "7", "RUNNING", job.ByPoll)}, queued("7", "RUNNING"), poll.Present, 1},
		{"another job has finished", []job.Event{told(job.Finished, "8", "COMPLETED", job.ByPoll)}, queued("7", "COMPLETED"), poll.Missing, 0},
		{"a body that is not shown, finished", []job.Event{finished}, hidden, poll.Present, 1},
		{"a body that is not shown, not finished", []job.Event{submitted}, hidden, poll.Missing, 0},
		{"to another address", nil, elsewhere, poll.Foreign, 0},
		{"to another address, about our job", []job.Event{submitted}, elsewhere, poll.Missing, 0},
		{"no notification", nil, poll.Queued{ID: "d7", Here: true, Body: []byte("hello")}, poll.NoJob, 0},
		{"neither body nor job", nil, poll.Queued{ID: "d7", Here: true}, poll.NoJob, 0},
		{"neither body nor job nor address", nil, poll.Queued{ID: "d7"}, poll.Foreign, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, queue := &backfillStore{}, &vendorQueue{queued: []poll.Queued{tt.queued}}
			store.have(t, tt.there...)
			got, err := poll.Backfill{Source: "crm", Queue: queue, Store: store}.Run(t.Context())
			if err != nil || len(got) != 1 || got[0].State != tt.want || got[0].Sequence != tt.sequence || got[0].Delivery != "d7" {
				t.Errorf("Run = %+v, %v, want %s of sequence %d", got, err, tt.want, tt.sequence)
			}
			if queue.released != 0 || len(store.events) != len(tt.there) {
				t.Errorf("comparing released %d times and left %d events, want 0 and %d", queue.released, len(store.events), len(tt.there))
			}
		})
	}
}

func TestBackfillRedelivers(t *testing.T) {
	t.Parallel()
	ours, theirs := queued("7", "COMPLETED"), poll.Queued{ID: "x", Job: "9"}
	for _, tt := range []struct {
		name     string
		queued   []poll.Queued
		mode     poll.Mode
		released int
		err      error
	}{
		{"ours", []poll.Queued{ours, queued("8", "COMPLETED")}, poll.Redeliver, 1, nil},
		{"nothing", nil, poll.Redeliver, 0, nil},
		{"ours and others'", []poll.Queued{ours, theirs}, poll.Redeliver, 0, poll.ErrOthers},
		{"ours and others', all the same", []poll.Queued{ours, theirs}, poll.RedeliverAll, 1, nil},
		{"others' only", []poll.Queued{theirs}, poll.RedeliverAll, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, queue := &backfillStore{}, &vendorQueue{queued: tt.queued}
			got, err := poll.Backfill{Source: "crm", Queue: queue, Store: store, Mode: tt.mode}.Run(t.Context())
			if !errors.Is(err, tt.err) || queue.released != tt.released || len(got) != len(tt.queued) {
				t.Errorf("Run = %+v, %v and %d releases, want %v and %d", got, err, queue.released, tt.err, tt.released)
			}
			for _, w := range got {
				if (w.Done == "redelivery") != (tt.released == 1) {
					t.Errorf("%s: done %q after %d releases", w.Delivery, w.Done, tt.released)
				}
			}
			if len(store.events) != 0 {
				t.Errorf("made events: %+v", store.events)
			}
		})
	}
}

func TestBackfillTakes(t *testing.T) {
	t.Parallel()
	submitted := told(job.Submitted, "7", "CREATED", job.ByUs)
	finished := told(job.Finished, "7", "COMPLETED", job.ByPoll)
	hidden := poll.Queued{ID: "d7", Job: "7", Here: true}
	asked := map[string]string{"7": `{"status":"ABORTED"}`}
	for _, tt := range []struct {
		name       string
		there      []job.Event
		queued     poll.Queued
		status     map[string]string
		done       string
		kind       job.Kind // of the event made; empty if none is
		evidence   job.Evidence
		result     job.Result
		unexpected bool
		err        error
	}{
		{"missing", []job.Event{submitted}, queued("7", "COMPLETED"), nil, "taken", job.Finished, job.ByVendorQueue, job.Succeeded, false, nil},
		{"missing, submitted elsewhere", nil, queued("7", "ERROR"), nil, "taken", job.Finished, job.ByVendorQueue, job.Failed, true, nil},
		{"progress", nil, queued("7", "RUNNING"), nil, "taken", job.Progress, job.ByVendorQueue, "", true, nil},
		{"there", []job.Event{finished}, queued("7", "COMPLETED"), nil, "", "", "", "", false, nil},
		{"another end", []job.Event{finished}, queued("7", "ABORTED"), nil, "taken", job.Conflict, job.ByVendorQueue, job.Failed, true, nil},
		{"a body that is not shown", []job.Event{submitted}, hidden, asked, "taken", job.Finished, job.ByPoll, job.Failed, false, nil},
		{"a body that is not shown, of a job that is forgotten", []job.Event{submitted}, hidden, nil, "", "", "", "", false, poll.ErrNotTaken},
		{"others'", nil, poll.Queued{ID: "d7", Job: "7", Body: body("7", "COMPLETED")}, nil, "", "", "", "", false, nil},
		{"another job than listed", []job.Event{submitted}, poll.Queued{ID: "d7", Job: "8", Here: true, Body: body("7", "COMPLETED")}, nil, "", "", "", "", false, poll.ErrNotTaken},
		{"the status of another job", []job.Event{submitted}, hidden, map[string]string{"7": string(body("8", "COMPLETED"))}, "", "", "", "", false, poll.ErrNotTaken},
		{"no notification", nil, poll.Queued{ID: "d7", Here: true, Body: []byte("hello")}, nil, "", "", "", "", false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store, queue := &backfillStore{}, &vendorQueue{queued: []poll.Queued{tt.queued}, status: tt.status}
			store.have(t, tt.there...)
			b := poll.Backfill{Source: "crm", Queue: queue, Store: store, Mode: poll.Take, Now: func() time.Time { return backfilledAt }}
			got, err := b.Run(t.Context())
			if !errors.Is(err, tt.err) || len(got) != 1 || got[0].Done != tt.done || (got[0].Error != "") != (tt.err != nil) {
				t.Fatalf("Run = %+v, %v, want done %q and %v", got, err, tt.done, tt.err)
			}
			if queue.released != 0 {
				t.Error("taking in released the queue")
			}
			made := store.events[len(tt.there):]
			if tt.kind == "" {
				if len(made) != 0 {
					t.Errorf("made %+v, want no event", made)
				}
				return
			}
			if len(made) != 1 || made[0].Kind != tt.kind || made[0].Evidence != tt.evidence || made[0].Job.Result != tt.result ||
				made[0].Unexpected != tt.unexpected || !made[0].Time.Equal(backfilledAt) || made[0].Receipt != nil || made[0].Job.ID != "7" {
				t.Errorf("made %+v, want one %s by %s, %s", made, tt.kind, tt.evidence, tt.result)
			}
			if got[0].Sequence != made[0].Sequence || got[0].Evidence != tt.evidence {
				t.Errorf("Run says sequence %d by %s, want %d by %s", got[0].Sequence, got[0].Evidence, made[0].Sequence, tt.evidence)
			}
		})
	}
}

func TestBackfillKeepsNoToken(t *testing.T) {
	t.Parallel()
	const token = "nZkQ3c0rT8mXv5yWb1LqJgUuA2FhS9dEoPiK"
	store := &backfillStore{}
	queue := &vendorQueue{
		queued: []poll.Queued{{ID: "d7", Job: "7", Here: true}},
		status: map[string]string{"7": `{"id":7,"status":"ERROR","notificationUrl":"https://r/callbacks/crm/` + token + `"}`},
	}
	if _, err := (poll.Backfill{Source: "crm", Queue: queue, Store: store, Mode: poll.Take}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := store.events[0]; !e.Redacted || strings.Contains(string(e.Data), token) || e.Job.ID != "7" {
		t.Errorf("took in %+v, %s, want it redacted", e, e.Data)
	}
}

// Run again, it finds everything there; two callbacks about one end make one event.
func TestBackfillTakesOnce(t *testing.T) {
	t.Parallel()
	store, queue := &backfillStore{}, &vendorQueue{queued: []poll.Queued{queued("7", "COMPLETED"), queued("7", "COMPLETED")}}
	b := poll.Backfill{Source: "crm", Queue: queue, Store: store, Mode: poll.Take}
	var done []string
	for range 2 {
		got, err := b.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range got {
			done = append(done, w.Done)
		}
	}
	if want := []string{"taken", "there", "", ""}; !slices.Equal(done, want) || len(store.events) != 1 {
		t.Errorf("done %q with %d events, want %q with one", done, len(store.events), want)
	}
}

func TestBackfillErrors(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	queue := &vendorQueue{queued: []poll.Queued{queued("7", "COMPLETED")}, err: down}
	got, err := poll.Backfill{Source: "crm", Queue: queue, Store: &backfillStore{}, Mode: poll.Redeliver}.Run(t.Context())
	if !errors.Is(err, down) || len(got) != 1 || queue.released != 0 {
		t.Errorf("Run = %+v, %v, want what was listed, the error and nothing released", got, err)
	}
	queue.err = nil
	got, err = poll.Backfill{Source: "crm", Queue: queue, Store: &backfillStore{err: down}, Mode: poll.Take}.Run(t.Context())
	if !errors.Is(err, poll.ErrNotTaken) || len(got) != 1 || got[0].Error == "" {
		t.Errorf("Run = %+v, %v, want ErrNotTaken and why", got, err)
	}
}
