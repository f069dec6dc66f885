//go:build e2e

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"receiver/internal/joblist"
)

// trouble is every lasting failure of polling for a job. None of it ends a watch, each is shown at
// the job and counted, and in the end a callback ends the job.
func trouble(t *testing.T, w *world) {
	cases := []struct{ name, run, dials, counted string }{
		{"401", "the platform refuses our secrets when asked", "http=401:all", "unauthorized"},
		{"404", "the platform knows nothing of the job when asked", "http=404:all", "not_found"},
		{"429", "the platform answers 429 when asked", "http=429:all", "too_many"},
		{"503", "the platform is down when asked", "http=503:all,html", "unreachable|timeout"},
		{"drop", "the platform drops the connection when asked", "http=drop:all", "unreachable|timeout"},
	}
	began := time.Now()
	var ids []string
	for _, tt := range cases {
		ids = append(ids, w.submitted(t, upload{dials: "callback=never," + tt.dials, object: "list"}))
	}
	for i, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			w.troubled(t, ids[i], tt.counted)
			w.callBack(t, ids[i])
			w.awaitStory(t, ids[i], "submitted receiver CREATED", "finished callback COMPLETED")
			w.reportOne(t, tt.run+"; a callback ends the job", ids[i], began)
		})
	}
}

// troubled waits until polling for a job has failed, and checks that this is reported.
func (w *world) troubled(t *testing.T, id, outcomes string) {
	t.Helper()
	var j joblist.Job
	w.eventually(t, "jobs show tells what is wrong", func() bool {
		j = w.show(t, "demo", id)
		return j.Watch != nil && j.Watch.Failures > 0
	})
	if j.State != joblist.Submitted || j.Watch.Error == "" || j.Watch.Next.IsZero() {
		t.Errorf("jobs show = %s with %+v, want submitted, an error and the time of the next question", j.State, j.Watch)
	}
	counted := regexp.MustCompile(fmt.Sprintf(`(?m)^receiver_watch_total\{outcome="(%s)",source="demo",what="look"\} [1-9]`, outcomes))
	if metrics := w.metrics(t); !counted.MatchString(metrics) {
		t.Errorf("the metrics have no %v", counted)
	}
}

func (w *world) metrics(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.replicas[0].private+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// callBack sends a callback that the platform's dials suppress.
func (w *world) callBack(t *testing.T, id string) {
	t.Helper()
	for _, j := range w.Jobs() {
		if j.ID != id {
			continue
		}
		body := fmt.Appendf(nil, `{"id":%q,"status":%q,"recordsCount":%d,"recordsFailedCount":%d,"callback-payload":%s}`,
			id, j.Status, j.Records, j.Failed, j.Payload)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, j.CallbackURL, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // the status is all there is to know
		if answer.StatusCode != http.StatusOK {
			t.Errorf("the callback of job %s was answered %s", id, answer.Status)
		}
		w.ledger.mu.Lock()
		w.called[id]++
		w.ledger.mu.Unlock()
	}
}
