package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

var spacing = []time.Duration{8 * time.Second, 64 * time.Second}

const queued = "/notifications/subscriptions/deliveries?where="

func where(text string) string { return queued + url.QueryEscape(text) }

func (r *rig) rows(path string) []map[string]any {
	r.t.Helper()
	var rows []map[string]any
	if a := r.get(path); a.code != 200 || json.Unmarshal(a.body, &rows) != nil {
		r.t.Fatalf("GET %s: %d %s", path, a.code, a.body)
	}
	return rows
}

func TestRetriesAtTheSpacing(t *testing.T) {
	r := start(t, simulator.Options{RetrySpacing: spacing})
	r.hook.answers(func(n int, _ callback) int { return []int{302, 503, 204}[n-1] })
	r.submit("")
	r.quiet()
	sent := r.Deliveries()
	if len(sent) != 3 || sent[2].Code != 204 || sent[2].ID != sent[0].ID || sent[2].Attempt != 3 {
		t.Fatalf("Deliveries() = %+v, want 302, 503, 204 of one delivery", sent)
	}
	for i, want := range []time.Duration{8 * time.Millisecond, 64 * time.Millisecond} {
		if got := sent[i+1].At.Sub(sent[i].At); got < want {
			t.Errorf("retry %d came after %v, want %v at least", i+1, got, want)
		}
	}
}

func TestContractSpacingIsTheDefault(t *testing.T) {
	r := start(t, simulator.Options{TimeScale: 1e-6})
	r.hook.answers(func(int, callback) int { return 500 })
	r.submit("")
	r.until("queueing", func(s simulator.Stats) bool { return s.Queued == 1 })
	sent := r.Deliveries()
	if len(sent) != 6 {
		t.Fatalf("sent %d times, want once and 5 retries", len(sent))
	}
	if got := sent[5].At.Sub(sent[4].At); got < 32*time.Millisecond {
		t.Errorf("last pause was %v, want 32.768ms at least", got)
	}
}

func TestQueueStopsCallingUntilReleased(t *testing.T) {
	r := start(t, simulator.Options{RetrySpacing: spacing})
	r.hook.answers(func(int, callback) int { return 502 })
	first := r.submit("")
	r.until("the first being queued", func(s simulator.Stats) bool { return s.Queued == 1 })
	r.submit("")
	r.until("the second being queued", func(s simulator.Stats) bool { return s.Queued == 2 })
	if got := len(r.hook.all()); got != 3 {
		t.Fatalf("called %d times, want 3: the second job's callback is queued untried", got)
	}
	rows := r.rows(where("channel='webhook' and status='queued'"))
	if len(rows) != 2 || fmt.Sprint(rows[0]["attempts"]) != "3" || rows[0]["body"] != string(r.hook.all()[0].body) {
		t.Fatalf("queued deliveries = %v", rows)
	}

	// Retries start again from the first spacing: fail once more, then take it.
	r.hook.answers(func(n int, _ callback) int {
		if n == 4 {
			return 503
		}
		return 200
	})
	if a := r.call(http.MethodPut, where("jobId='"+first+"' and status='queued'"), nil); a.code != 200 {
		t.Fatalf("release: %d %s", a.code, a.body)
	}
	r.until("the first being delivered", func(s simulator.Stats) bool { return s.Delivered == 1 && s.Open == 0 })
	sent := r.Deliveries()
	if last := sent[len(sent)-1]; last.Attempt != 5 || last.Job != first || last.Code != 200 {
		t.Errorf("last delivery = %+v, want attempt 5 of the first job", last)
	}
	r.submit("")
	r.until("calling again", func(s simulator.Stats) bool { return s.Delivered == 2 })
	if got := r.rows(where("status='queued'")); len(got) != 1 {
		t.Errorf("%d queued, want the second still", len(got))
	}
	r.call(http.MethodPut, where("channel='webhook' and status='queued'"), nil)
	r.until("all being delivered", func(s simulator.Stats) bool { return s.Delivered == 3 && s.Queued == 0 })
	if got := r.rows(where("status='delivered'")); len(got) != 3 {
		t.Errorf("%d delivered, want 3", len(got))
	}
}

func TestStopCalling(t *testing.T) {
	tests := []struct {
		stop simulator.StopCalling
		want []string // hosts called after the first one failed for good
	}{
		{simulator.StopHost, []string{"other"}},
		{simulator.StopInstance, nil},
		{simulator.StopNever, []string{"other", "same"}},
	}
	for _, tt := range tests {
		t.Run(string(tt.stop), func(t *testing.T) {
			r := start(t, simulator.Options{RetrySpacing: []time.Duration{}, StopCalling: tt.stop})
			r.hook.answers(func(int, callback) int { return 500 })
			r.submit("")
			r.until("queueing", func(s simulator.Stats) bool { return s.Queued == 1 })
			var called []string
			if r.submit(""); len(r.calledNext()) > 1 {
				called = append(called, "same")
			}
			same := r.hook
			if r.hook = newHook(t); r.submit("") != "" && len(r.calledNext()) > 0 {
				called = append(called, "other")
			}
			r.hook = same
			slices.Sort(called)
			if !slices.Equal(called, tt.want) {
				t.Errorf("called %v, want %v", called, tt.want)
			}
		})
	}
}

func (r *rig) calledNext() []callback {
	r.quiet()
	return r.hook.all()
}

func TestClosedPortIsAFailure(t *testing.T) {
	r := start(t, simulator.Options{RetrySpacing: []time.Duration{}})
	gone := httptest.NewServer(http.NotFoundHandler())
	r.hook.url = gone.URL + "/secret-token"
	gone.Close()
	r.submit("")
	r.quiet()
	sent := r.Deliveries()
	if len(sent) != 1 || sent[0].Err == nil {
		t.Fatalf("Deliveries() = %+v, want one with an error", sent)
	}
	if got := sent[0].Err.Error(); strings.Contains(got, "secret-token") {
		t.Errorf("error %q shows the callback address", got)
	}
	if got := len(r.rows(where("status='queued'"))); got != 1 {
		t.Errorf("%d deliveries queued, want 1", got)
	}
}

func TestDeliveriesTakePlatformCredentials(t *testing.T) {
	r := start(t, simulator.Options{Organization: "org", User: "user"})
	r.auth = "User user, Organization org"
	if a := r.get(where("status='queued'")); a.code != 200 {
		t.Errorf("deliveries without Element: %d, want 200", a.code)
	}
	if a := r.get("/objects"); a.code != 401 {
		t.Errorf("objects without Element: %d, want 401", a.code)
	}
}

func TestWhereThatCannotBeRead(t *testing.T) {
	r := start(t, simulator.Options{})
	for _, text := range []string{"status", "status=", "status='x", "nope='x'", "status='a' or status='b'", "status='a'status='b'"} {
		if a := r.get(where(text)); a.code != 400 {
			t.Errorf("where %q: %d, want 400", text, a.code)
		}
	}
}
