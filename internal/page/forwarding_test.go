package page_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"receiver/api"
)

// hostile is text from outside that would change what is around it.
const hostile = "<script>alert(1)</script>\u202e\x1b[31m\"'&"

func sinks(all ...api.Sink) operations {
	return operations{
		"GET /v1/sinks": give(api.Sinks{Sinks: all}),
		"GET /v1/edge":  give(api.Edge{Mode: "embedded", Hub: []string{}, Streams: []api.EdgeStream{}}),
	}
}

// inOrder fails unless the texts are in a page, one behind the other.
func inOrder(t *testing.T, page string, texts ...string) {
	t.Helper()
	rest := page
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Errorf("the page lacks %q behind the others: %.2000s", text, rest)
			return
		}
		rest = after
	}
}

// A sink that needs attention comes first, and each state has a word.
func TestForwardingShowsWhatIsBehind(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPage(sinks(
		api.Sink{Name: "archive", Host: "archive.example.com", LastAccepted: now.Add(-12 * time.Second)},
		api.Sink{Name: "billing", Host: "billing.example.com", Pending: 3, SecondsBehind: 40, Oldest: now.Add(-40 * time.Second)},
		api.Sink{Name: "crm", Host: "crm.example.com", Retrying: 2, SecondsBehind: 7200},
		api.Sink{Name: "orders", Host: "orders.example.com:8443", GivenUp: 312, Retrying: 1, SecondsBehind: 200000},
	))
	body := ask(t, p, http.MethodGet, "/forwarding", "rcv_read", nil).Body.String()
	inOrder(t, body, "<h1>Forwarding</h1>",
		`/forwarding/orders"`, "gives up events", "orders.example.com:8443", "2 days", "1 job", "312 events",
		`/forwarding/billing"`, "behind", "40 s", "3 events",
		`/forwarding/crm"`, "retries", "2 h", "2 jobs",
		`/forwarding/archive"`, "up to date", "–", "12 s ago",
		"This receiver is no edge", "embedded")
}

func TestForwardingShowsTheEdge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	o := sinks()
	o["GET /v1/edge"] = give(api.Edge{
		Mode: "edge", Name: "rim-1", Hub: []string{"tls://hub.example.com:7422"}, Link: api.EdgeLinkDown, Since: now.Add(-5 * time.Minute),
		Streams: []api.EdgeStream{
			{Stream: "JOBS", Behind: 1203, SecondsBehind: 300, Oldest: now, Position: 17, Forwarded: 15, Repeated: 2},
			{Stream: "ATTEMPTS", Position: 40, Forwarded: 40, Missed: 6},
		},
	})
	body := ask(t, newPage(o), http.MethodGet, "/forwarding", "rcv_read", nil).Body.String()
	inOrder(t, body, "None is configured.", "link down", "5 min ago", "rim-1", "tls://hub.example.com:7422", "JOBS", "1203", "5 min", "17", "15", "2", "ATTEMPTS", "0", "–", "40", "6 lost")
}

// A sink whole: the first deliveries of each kind, the way to the job, and what to do, by the
// token's scope. The page stays small, and text from outside inert.
func TestOneSink(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := api.Sink{Name: "orders", Host: "orders.example.com", Retrying: 60, GivenUp: 312, SecondsBehind: 9}
	for i := range 50 {
		d := api.SinkDelivery{Source: "crm", Job: fmt.Sprintf("%d/%s", i, strings.Repeat(hostile, 4)), Sequence: 7, Tries: 3, Since: now.Add(-time.Hour), Error: strings.Repeat(hostile, 7)}
		s.GivenUpEvents = append(s.GivenUpEvents, d)
		d.Due = now.Add(10 * time.Minute)
		s.RetryingJobs = append(s.RetryingJobs, d)
	}
	p := newPage(sinks(api.Sink{Name: "archive"}, s))
	body := ask(t, p, http.MethodGet, "/forwarding/orders", "rcv_read", nil).Body.String()
	inOrder(t, body, "<h1>Sink orders</h1>", "gives up events", "Given up", "/jobs/crm/0%2F", "60 min ago", "never", "20 of 312 events", "Retried", "in 9 min", "20 of 60 jobs", "receiver sinks replay orders --all")
	if strings.Contains(body, "/forwarding/orders/replay") {
		t.Error("a token without the scope admin is offered the action")
	}
	body = ask(t, p, http.MethodGet, "/forwarding/orders", "rcv_all", nil).Body.String()
	inOrder(t, body, ">Post again<span", `action="/forwarding/orders/replay"`, "Post everything again now")
	if len(body) > 100<<10 {
		t.Errorf("the page has %d bytes", len(body))
	}
	for _, raw := range []string{"<script>alert", "\u202e", "\x1b"} {
		if strings.Contains(body, raw) {
			t.Errorf("the page has %q", raw)
		}
	}
	inOrder(t, ask(t, p, http.MethodGet, "/forwarding/orders?replayed=1", "rcv_all", nil).Body.String(), `role="status">1 delivery posted again`)
	if body := ask(t, p, http.MethodGet, "/forwarding/orders?replayed=-1%3Cb%3E", "rcv_all", nil).Body.String(); strings.Contains(body, "posted again") {
		t.Errorf("a number that is none is shown: %s", body)
	}
	if w := ask(t, p, http.MethodGet, "/forwarding/order", "rcv_read", nil); w.Code != http.StatusNotFound {
		t.Errorf("a sink that is not there = %d", w.Code)
	}
}

func TestReplayOfASink(t *testing.T) {
	t.Parallel()
	var asked *http.Request
	o := sinks(api.Sink{Name: "orders", GivenUp: 1})
	o["POST /v1/sinks/orders/replay"] = func(w http.ResponseWriter, r *http.Request) {
		asked = r
		give(api.SinkReplay{Sink: "orders", Replayed: 1})(w, r)
	}
	o["POST /v1/sinks/gone/replay"] = func(w http.ResponseWriter, _ *http.Request) { problem(w, api.UnknownSink.Problem("no sink")) }
	p := newPage(o)
	csrf := csrfField.FindStringSubmatch(ask(t, p, http.MethodGet, "/forwarding/orders", "rcv_all", nil).Body.String())[1]
	for _, tt := range []struct {
		name, path string
		form       url.Values
		status     int
		query      string
	}{
		{"all", "orders/replay", url.Values{"csrf": {csrf}, "reason": {" repaired "}}, 303, "job=&reason=repaired&source="},
		{"one job", "orders/replay?source=crm&job=a%2Fb", url.Values{"csrf": {csrf}}, 303, "job=a%2Fb&reason=&source=crm"},
		{"without the token of the form", "orders/replay", url.Values{}, 403, ""},
		{"a sink that is not there", "gone/replay", url.Values{"csrf": {csrf}}, 404, ""},
	} {
		asked = nil
		w := ask(t, p, http.MethodPost, "/forwarding/"+tt.path, "rcv_all", tt.form)
		query := ""
		if asked != nil {
			query = asked.URL.Query().Encode()
		}
		if w.Code != tt.status || query != tt.query || tt.status == 303 && w.Header().Get("Location") != "/forwarding/orders?replayed=1" {
			t.Errorf("%s: %d %q, asked for %q; want %d and %q", tt.name, w.Code, w.Header().Get("Location"), query, tt.status, tt.query)
		}
	}
}
