//go:build e2e

package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/simulator"
)

// TestReliabilitySubmissions holds that a request with a key makes one job, whatever becomes of its
// answers, of the platform's and of the receivers.
func TestReliabilitySubmissions(t *testing.T) {
	t.Parallel()
	const jobs, kills = 100, 4
	w := newWorld(t, plan{replicas: 2, source: soon, timeout: 2 * time.Second, platform: simulator.Options{
		TimeScale: 0.01, Seed: 7, Faults: simulator.Faults{Slow: 20 * time.Millisecond, Mix: []simulator.Faults{{Post: "lost"}}, Rate: 0.2},
	}})
	ids := make([]string, jobs)
	var clients sync.WaitGroup
	const atOnce = 10
	for c := range atOnce {
		clients.Go(func() {
			for n := c; n < jobs; n += atOnce {
				ids[n] = w.submitUntilAnswered(t, n)
			}
		})
	}
	for n := range kills {
		w.eventually(t, "more jobs to be made", func() bool { return len(w.Jobs()) >= (n+1)*jobs/(kills+2) })
		t.Logf("killed with %d jobs made", w.killed(n%2))
	}
	clients.Wait()
	distinct := map[string]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if made := len(w.Jobs()); made != jobs || len(distinct) != jobs || distinct[""] {
		t.Errorf("%d requests made %d jobs, and were answered with %d ids, want %d of each", jobs, made, len(distinct), jobs)
	}
	w.ledger.await(t, "every job to end", func(l *ledger) bool { return l.events["finished"] >= jobs })
	w.quiet()
	w.stop()
	f := w.judge(t)
	w.report(t, fmt.Sprintf("100 jobs by the HTTP API with keys, answers of the platform lost, two replicas; `kill -9` of one and restart, %d×", kills), f)
}

// submitUntilAnswered repeats a request with a key, at either replica, until it is answered with
// the id of a job, as a careful client does.
func (w *world) submitUntilAnswered(t *testing.T, n int) (id string) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(5 * time.Minute)
	for turn := n; time.Now().Before(deadline); turn++ {
		at := w.replicas[turn%2].private
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/v1/sources/demo/jobs?object=contact", strings.NewReader(rows))
		if err != nil {
			t.Error(err)
			return ""
		}
		request.Header.Set("Content-Type", "text/csv")
		request.Header.Set("Idempotency-Key", fmt.Sprint("order-", n))
		made, location, ok := w.submission(client, request)
		for ok && made.State == job.SubmissionUnknown || made.State == job.SubmissionPending {
			<-time.After(500 * time.Millisecond) // as a client does that polls
			turn++
			if request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, w.replicas[turn%2].private+location, nil); err != nil {
				t.Error(err)
				return ""
			}
			if is, _, there := w.submission(client, request); there {
				made = is
			}
			if time.Now().After(deadline) {
				break
			}
		}
		if ok && made.State == job.SubmissionSubmitted {
			return made.Job
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Errorf("request %d was not answered", n)
	return ""
}

// submission makes a request, and reads the submission that answers it, if one does.
func (w *world) submission(client *http.Client, r *http.Request) (made job.Submission, location string, ok bool) {
	got, err := client.Do(r)
	if err != nil {
		return made, "", false
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode >= http.StatusBadRequest || json.Unmarshal(body, &made) != nil {
		return made, "", false
	}
	return made, got.Header.Get("Location"), true
}
