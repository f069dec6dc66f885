package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

func TestDefaultAPIFaults(t *testing.T) {
	tests := []struct {
		dials string
		want  string // of four requests
	}{
		{"http=429:2", "429 429 200 200"},
		{"http=429,http=503:2", "429 503 503 200"},
		{"http=401:all", "401 401 401 401"},
		{"http=drop:1", "dropped 200 200 200"},
	}
	for _, tt := range tests {
		faults, err := simulator.ParseFaults(tt.dials)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, simulator.Options{Faults: faults})
		if got := r.fourTimes("/objects"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.dials, got, tt.want)
		}
	}
}

func (r *rig) fourTimes(path string) string {
	var got []string
	for range 4 {
		a, err := r.try(http.MethodGet, path, nil)
		if err != nil {
			got = append(got, "dropped")
			continue
		}
		got = append(got, fmt.Sprint(a.code))
	}
	return strings.Join(got, " ")
}

func TestJobAPIFaults(t *testing.T) {
	r := start(t, simulator.Options{})
	id := r.submit("http=502:1,http=429:1,http=drop,html,retry_after=1500ms")
	a := r.get("/bulk/" + id + "/status")
	if a.code != 502 || !strings.HasPrefix(string(a.body), "<html>") || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("first: %d %s %q, want 502 and a page", a.code, a.header, a.body)
	}
	a = r.get("/bulk/" + id + "/errors")
	if a.code != 429 || a.header.Get("Retry-After") != "2" {
		t.Errorf("second: %d, Retry-After %q, want 429 and 2", a.code, a.header.Get("Retry-After"))
	}
	if _, err := r.try(http.MethodGet, "/bulk/"+id+"/status", nil); err == nil {
		t.Error("third was answered, want the connection dropped")
	}
	if got := r.fourTimes("/bulk/" + id + "/status"); got != "200 200 200 200" {
		t.Errorf("then: %s", got)
	}
	if a := r.get("/bulk/" + r.submit("http=429") + "/status"); a.header.Get("Retry-After") != "" || a.object(t)["message"] == nil {
		t.Errorf("429 without the dial: Retry-After %q, %s", a.header.Get("Retry-After"), a.body)
	}
}

func TestSlow(t *testing.T) {
	r := start(t, simulator.Options{})
	began := time.Now()
	id := r.submit("slow=60ms")
	posted := time.Since(began)
	r.get("/bulk/" + id + "/status")
	if both := time.Since(began); posted < 60*time.Millisecond || both-posted < 60*time.Millisecond {
		t.Errorf("POST took %v and status %v, want 60ms each at least", posted, both-posted)
	}
	r = start(t, simulator.Options{Faults: simulator.Faults{Slow: 60 * time.Millisecond}})
	began = time.Now()
	if r.get("/objects"); time.Since(began) < 60*time.Millisecond {
		t.Errorf("objects took %v, want 60ms at least", time.Since(began))
	}
}

func TestPostFaults(t *testing.T) {
	r := start(t, simulator.Options{})
	for dials, want := range map[string]int{"post=429": 429, "post=503,html": 503, "post=401": 401} {
		a, err := r.post(goodRows, dials)
		if err != nil || a.code != want || strings.HasPrefix(string(a.body), "<html>") != strings.Contains(dials, "html") {
			t.Errorf("%s: %d %s %v", dials, a.code, a.body, err)
		}
	}
	if _, err := r.post(goodRows, "post=drop"); err == nil {
		t.Error("post=drop was answered")
	}
	if got := r.Jobs(); len(got) != 0 {
		t.Fatalf("refused POSTs made jobs: %+v", got)
	}
	if _, err := r.post(goodRows, "post=lost"); err == nil {
		t.Error("post=lost was answered")
	}
	r.quiet()
	if jobs := r.Jobs(); len(jobs) != 1 || len(r.hook.all()) != 1 || jobs[0].CallbackURL != r.hook.url {
		t.Errorf("post=lost: jobs %+v, %d callbacks, want one job, called back", jobs, len(r.hook.all()))
	}
	a, err := r.post(goodRows, "post=none")
	if err != nil || a.code != 200 {
		t.Errorf("post=none: %d %v", a.code, err)
	}
}
