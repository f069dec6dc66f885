//go:build e2e

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/joblist"
	"receiver/internal/simulator"
)

// patient polls for jobs only in an hour, except for the object list, and quarantines callbacks
// about unknown jobs at the source aside.
const patient = `    watch:
      expected: 1h
      retry: 50ms
      cap: 200ms
      deadline: 6h
      objects:
        - object: list
          expected: 50ms
  aside:
    base_url: $API
    signature_keys:
      - name: first
        value: file:first.key
    unexpected_jobs: quarantine`

// TestReliabilityEnds is one job for each thing that can befall it on the way to its end.
func TestReliabilityEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{replicas: 1, source: patient, platform: simulator.Options{TimeScale: 0.001, Seed: 13}})
	for _, tt := range []struct {
		name, run string
		upload    upload
		want      []string
		also      func(t *testing.T, w *world, id string)
	}{
		{
			name: "early", run: "the callback comes before the upload is answered", upload: upload{dials: "callback=early"},
			want: []string{"finished callback COMPLETED unexpected", "submitted receiver CREATED"},
			also: wasExpected,
		},
		{
			name: "late", run: "the callback comes when a question has told the end", upload: upload{dials: "callback=late:1000s", object: "list"},
			want: []string{"submitted receiver CREATED", "finished poll COMPLETED"},
			also: func(t *testing.T, w *world, id string) { w.awaitAttempt(t, "late", id) },
		},
		{
			name: "conflict", run: "a second callback tells another end", upload: upload{dials: "conflict"},
			want: []string{"submitted receiver CREATED", "finished callback COMPLETED", "conflict callback ABORTED"},
			also: bothSigned,
		},
		{
			name: "unknown", run: "an unknown status, and then no callback", upload: upload{dials: "progress=SIMMERING,callback=never"},
			want: []string{"submitted receiver CREATED", "progress callback SIMMERING", "finished poll COMPLETED"},
		},
		{
			name: "rows", run: "two of three rows fail", upload: upload{dials: "failed=2"},
			want: []string{"submitted receiver CREATED", "finished callback COMPLETED", "errors poll COMPLETED"},
			also: rowsAreTold,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			id := w.submitted(t, tt.upload)
			w.awaitStory(t, id, tt.want...)
			if tt.also != nil {
				tt.also(t, w, id)
			}
			w.reportOne(t, tt.run, id, began)
		})
	}
	t.Run("unexpected", func(t *testing.T) { unexpected(t, w) })
	t.Run("quarantine", func(t *testing.T) { quarantine(t, w) })
	t.Run("trouble", func(t *testing.T) { trouble(t, w) })
	w.platformAtRest()
	w.stop()
}

func (w *world) reportOne(t *testing.T, run, id string, began time.Time) {
	t.Helper()
	w.platformAtRest()
	f := w.judge(t, id)
	f.took = time.Since(began)
	if f.stored != 1 {
		t.Errorf("job %s has %d finished events, want 1", id, f.stored)
	}
	w.report(t, run, f)
}

// awaitStory waits until a job has these events, whatever else the platform answered to polls on
// the way. A callback may always overtake the event that its job was submitted here.
func (w *world) awaitStory(t *testing.T, id string, want ...string) {
	t.Helper()
	w.ledger.await(t, fmt.Sprintf("job %s to be %q", id, want), func(l *ledger) bool {
		story := l.story(id)
		story = slices.DeleteFunc(story, func(s string) bool { return strings.HasPrefix(s, "progress poll ") })
		return slices.EqualFunc(story, want, func(s, want string) bool { return s == want || s == want+" unexpected" })
	})
}

func (w *world) awaitAttempt(t *testing.T, verdict, id string) told {
	t.Helper()
	var found told
	w.ledger.await(t, "an attempt that is "+verdict, func(l *ledger) bool {
		for _, m := range l.attempts[verdict] {
			if strings.Contains(string(m.data), id) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// show returns the output of receiver jobs show.
func (w *world) show(t *testing.T, source, id string) (j joblist.Job) {
	t.Helper()
	w.eventually(t, "jobs show has read the job, which a busy machine may not do in time", func() bool {
		code, text := w.replicas[0].command(t, "jobs", "show", "--source", source, "-o", "json", id)
		return code == 0 && json.Unmarshal([]byte(text), &j) == nil
	})
	return j
}

func wasExpected(t *testing.T, w *world, id string) {
	if j := w.show(t, "demo", id); !j.Expected || j.State != joblist.Finished {
		t.Errorf("jobs show = %s, expected %v; want finished, and expected after all", j.State, j.Expected)
	}
}

func bothSigned(t *testing.T, w *world, id string) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for _, kind := range []string{"finished", "conflict"} {
		for _, m := range w.ledger.of(id, kind) {
			if err := provedEnd(m); err != nil {
				t.Error(err)
			}
		}
	}
}

func rowsAreTold(t *testing.T, w *world, id string) {
	code, text := w.replicas[0].command(t, "jobs", "errors", "--source", "demo", id)
	if code != 0 || strings.Count(text, "\n") != 2 {
		t.Errorf("jobs errors = exit %d, want 0 and two lines:\n%s", code, text)
	}
}

// A callback about a job that another client submitted is an event like any other, and is marked as
// not expected.
func unexpected(t *testing.T, w *world) {
	began := time.Now()
	id := w.stranger(t, "demo")
	w.awaitStory(t, id, "finished callback COMPLETED unexpected")
	if j := w.show(t, "demo", id); j.Expected || j.State != joblist.Finished {
		t.Errorf("jobs show = %s, expected %v; want finished, and not expected", j.State, j.Expected)
	}
	w.reportOne(t, "a callback for a job that was not submitted here", id, began)
}

// At a source that wants it so, such a callback makes no event until it is released.
func quarantine(t *testing.T, w *world) {
	began := time.Now()
	id := w.stranger(t, "aside")
	aside := w.awaitAttempt(t, "quarantined", id)
	w.awaitStory(t, id)
	if code, text := w.replicas[0].command(t, "jobs", "release", "--source", "aside", id); code != 0 {
		t.Fatalf("jobs release = exit %d, want 0:\n%s", code, text)
	}
	w.awaitStory(t, id, "finished callback COMPLETED unexpected")
	w.ledger.mu.Lock()
	end := w.ledger.of(id, "finished")[0]
	w.ledger.mu.Unlock()
	if !bytes.Equal(end.data, aside.data) || end.header.Get("receiver-received") != aside.header.Get("receiver-received") {
		t.Errorf("the event is not what was put aside: %s and %s", end.header, aside.header)
	}
	w.reportOne(t, "such a callback put in quarantine, and released", id, began)
}

// stranger submits a job as another client, with a source's callback address.
func (w *world) stranger(t *testing.T, source string) (id string) {
	t.Helper()
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, err := m.CreateFormFile("file", "rows.csv")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, rows) // into memory
	_ = m.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.api+"/bulk/contact", &form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("Authorization", w.Credentials().Authorization())
	r.Header.Set("Elements-Async-Callback-Url", "http://"+w.front.addr+"/callbacks/"+source)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var created struct{ ID json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&created); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the platform answered %s, %v", answer.Status, err)
	}
	return strings.Trim(string(created.ID), `"`)
}
