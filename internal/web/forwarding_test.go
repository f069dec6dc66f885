package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/metrics"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// hub is a Forwarding with one of everything.
type hub struct{}

func (hub) Sinks(context.Context) (api.Sinks, error) {
	now := time.Now().UTC()
	d := api.SinkDelivery{Source: "crm", Job: "a/b", Sequence: 7, Tries: 1, Since: now, Due: now, Error: "answered 500"}
	return api.Sinks{Sinks: []api.Sink{{
		Name: "orders", Host: "orders.example.com", Pending: 3, Oldest: now, SecondsBehind: 9, Retrying: 1, GivenUp: 1,
		RetryingJobs: []api.SinkDelivery{d}, GivenUpEvents: []api.SinkDelivery{d}, LastAccepted: now,
	}}}, nil
}

func (hub) Edge(context.Context) (api.Edge, error) {
	now := time.Now().UTC()
	return api.Edge{Mode: "edge", Name: "rim-1", Hub: []string{"tls://hub:7422"}, Link: api.EdgeLinkUp, Since: now, Streams: []api.EdgeStream{
		{Stream: "JOBS", Behind: 2, Oldest: now, SecondsBehind: 4, Position: 17, Forwarded: 17, Repeated: 1},
	}}, nil
}

func (hub) Replay(_ context.Context, by apiserver.By, sink, source, id string) (api.SinkReplay, error) {
	if sink != "orders" {
		return api.SinkReplay{}, api.UnknownSink.Problem("no sink")
	}
	return api.SinkReplay{Sink: fmt.Sprint(source, "/", id, by), Replayed: 2}, nil
}

func TestWhatIsPassedOn(t *testing.T) {
	t.Parallel()
	h := web.NewPrivate(web.Private{Metrics: metrics.New(nil), Record: unrecorded, API: apiserver.Server{Forwarding: hub{}}})
	for _, tt := range []struct {
		name, method, path string
		code               int
		body               string
	}{
		{"sinks", "GET", "/v1/sinks", 200, `"given_up_events":[{`},
		{"the edge", "GET", "/v1/edge", 200, `"link":"up"`},
		{"a replay", "POST", "/v1/sinks/orders/replay?source=crm&job=a%2Fb&reason=repaired", 200, `crm/a/b{`},
		{"a replay with a reason", "POST", "/v1/sinks/orders/replay?reason=repaired", 200, `repaired`},
		{"a replay at no sink", "POST", "/v1/sinks/order/replay", 404, "unknown-sink"},
		{"a filter that there is not", "POST", "/v1/sinks/orders/replay?sources=crm", 400, "sources"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil)
		r.Host = "localhost"
		got := apitest.Serve(t, h, r)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.body) {
			t.Errorf("%s: %d %s, want %d with %s", tt.name, got.Code, got.Body, tt.code, tt.body)
		}
		if tt.code == http.StatusOK {
			r.RequestURI = ""
			if got := apitest.Serve(t, web.NewPrivate(web.Private{Metrics: metrics.New(nil), Record: unrecorded}), r); got.Code != http.StatusServiceUnavailable {
				t.Errorf("%s without NATS = %d, want 503", tt.name, got.Code)
			}
		}
	}
}
