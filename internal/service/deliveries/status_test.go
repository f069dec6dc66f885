package deliveries_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/service/deliveries"
	"receiver/internal/sink"
	"receiver/internal/web/apiserver"
)

func TestMain(m *testing.M) { natstest.Tests{M: m, AtOnce: 2}.Run() }

// lease is one that its holder always has.
type lease struct{}

func (lease) Hold(context.Context) (bool, error) { return true, nil }
func (lease) Release(context.Context) error      { return nil }

// rig is a store with a sink that answers as the test says.
type rig struct {
	*deliveries.Status
	t       *testing.T
	answer  atomic.Int32
	actions []map[string]any
	run     func() (stop func())
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t}
	r.answer.Store(http.StatusOK)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(r.answer.Load())) }))
	t.Cleanup(endpoint.Close)
	store := natstest.Open(t, natstest.Start(t, t.TempDir()))
	cfg := &config.Config{Sinks: []config.Sink{{Name: "orders", URL: endpoint.URL + "/hook/whsec?code=hunter2"}}}
	r.Status = &deliveries.Status{Config: cfg, Store: store, Record: func(_ context.Context, a job.Action, details map[string]any) error {
		details["what"], details["operator"], details["reason"] = a.What, a.Operator, a.Reason
		r.actions = append(r.actions, details)
		return nil
	}}
	r.run = func() (stop func()) {
		s, err := sink.New(sink.Options{
			Sinks: []sink.Sink{{Name: "orders", URL: cfg.Sinks[0].URL, Secrets: [][]byte{[]byte("the-secret-of-the-endpoint")}, Oldest: true}},
			Store: store, UserAgent: "test", Log: zerolog.Nop(), Count: r.Counted(func(string, string) {}),
			Lease: func(context.Context, string) (sink.Lease, error) { return lease{}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		stop = func() { cancel(); running.Wait() }
		t.Cleanup(stop)
		return stop
	}
	return r
}

func (r *rig) publish(id string) job.Stored {
	r.t.Helper()
	s, err := r.Store.Publish(r.t.Context(), natstest.Called(job.Finished, id, "COMPLETED"))
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// until waits for the sink to be so, and returns it.
func (r *rig) until(what string, is func(api.Sink) bool) (s api.Sink) {
	r.t.Helper()
	natstest.Eventually(r.t, what, func() bool {
		s = r.orders()
		return is(s)
	})
	return s
}

func (r *rig) orders() api.Sink {
	r.t.Helper()
	all, err := r.Sinks(r.t.Context())
	if err != nil || len(all.Sinks) != 1 {
		r.t.Fatalf("Sinks = %+v, %v", all, err)
	}
	return all.Sinks[0]
}

// A sink's state: nothing, events that wait, a job that is retried, accepted; and never more of its
// address than the host.
func TestStateOfASink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.orders()
	if s.Pending != 0 || s.Retrying != 0 || s.GivenUp != 0 || s.SecondsBehind != 0 || !s.Oldest.IsZero() || !s.LastAccepted.IsZero() {
		t.Errorf("a new sink = %+v, want nothing", s)
	}
	r.answer.Store(http.StatusInternalServerError)
	before := time.Now().Add(-time.Second)
	first := r.publish("1")
	r.publish("2")
	stop := r.run()
	s = r.until("both jobs to be retried", func(s api.Sink) bool { return s.Retrying == 2 && s.Pending == 0 })
	if len(s.RetryingJobs) != 2 || s.RetryingJobs[0].Job != "1" || s.RetryingJobs[1].Job != "2" {
		t.Fatalf("retrying jobs = %+v, want 1 and 2", s.RetryingJobs)
	}
	d := s.RetryingJobs[0]
	if d.Source != "demo" || d.Sequence != first.Sequence || d.Tries != 1 || d.Error != "answered 500" || !d.Due.After(d.Since) {
		t.Errorf("the retried job = %+v", d)
	}
	if s.Oldest.Before(before) || s.Oldest.After(time.Now()) || s.SecondsBehind > 60 {
		t.Errorf("the oldest event was stored %v, %d s ago", s.Oldest, s.SecondsBehind)
	}
	stop()
	third := r.publish("3")
	oldest := s.Oldest
	if s = r.until("the third job to wait", func(s api.Sink) bool { return s.Pending == 1 }); !s.Oldest.Equal(oldest) {
		t.Errorf("with an event that waits behind = %+v, want the same oldest, %v", s, oldest)
	}
	r.answer.Store(http.StatusOK)
	r.run()
	s = r.until("the third job to be accepted", func(s api.Sink) bool { return s.Pending == 0 && !s.LastAccepted.IsZero() })
	made, err := r.Replay(t.Context(), apiserver.By{Operator: "ada", Reason: "repaired", RequestID: "r-1"}, "orders", "", "")
	if err != nil || made.Replayed > 2 { // the next try may have come meanwhile
		t.Fatalf("Replay = %+v, %v", made, err)
	}
	s = r.until("everything to be accepted", func(s api.Sink) bool { return s.Retrying == 0 })
	if s.SecondsBehind != 0 || !s.Oldest.IsZero() || third.Sequence == 0 {
		t.Errorf("with everything accepted = %+v", s)
	}
	text, err := json.Marshal(s)
	if err != nil || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "whsec") || !strings.HasPrefix(s.Host, "127.0.0.1:") {
		t.Errorf("the sink is shown as %s, %v", text, err)
	}
}

// Events that wait count from the oldest that the sink gets.
func TestOldestThatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.run()
	r.publish("1")
	r.until("the event to be accepted", func(s api.Sink) bool { return !s.LastAccepted.IsZero() && s.Pending == 0 })
	stop()
	waits := r.publish("2")
	r.publish("3")
	raw, err := r.Store.JetStream().Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := raw.GetMsg(t.Context(), waits.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.until("two to wait", func(s api.Sink) bool { return s.Pending == 2 }); !s.Oldest.Equal(m.Time) {
		t.Errorf("two wait: %+v, want the oldest at %v", s, m.Time)
	}
}

// Events that were given up are counted whole and listed in part; a replay has them posted again.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const many = 60
	for i := range many {
		s := r.publish(fmt.Sprint(i))
		of, _ := job.CutKind(s.Subject())
		if _, _, err := r.Store.PutDelivery(t.Context(), job.Delivery{
			Sink: "orders", Job: of, Next: s.Sequence, Last: s.Sequence, Tries: 10, Since: time.Now(), Error: "answered 503", GivenUp: true,
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := r.orders()
	if s.GivenUp != many || len(s.GivenUpEvents) != 50 || s.GivenUpEvents[0].Job != "0" || s.GivenUpEvents[0].Error != "answered 503" || !s.GivenUpEvents[0].Due.IsZero() {
		t.Errorf("given up: %d, %d listed, the first %+v", s.GivenUp, len(s.GivenUpEvents), s.GivenUpEvents[:1])
	}
	by := apiserver.By{Operator: "ada", Reason: "repaired", RequestID: "r-1"}
	for _, tt := range []struct {
		name, sink, source, id string
		replayed               int
		is                     api.ProblemKind
		action                 string
	}{
		{"another sink", "order", "", "", 0, api.UnknownSink, ""},
		{"a job without a source", "orders", "", "7", 0, api.BadRequest, ""},
		{"a source without a job", "orders", "demo", "", 0, api.BadRequest, ""},
		{"a job that was accepted", "orders", "demo", "none", 0, api.ProblemKind{}, ""},
		{"a job of another source", "orders", "crm", "7", 0, api.ProblemKind{}, ""},
		{"one job", "orders", "demo", "7", 1, api.ProblemKind{}, `{"job":"7","operator":"ada","reason":"repaired","replayed":1,"request":"r-1","sink":"orders","source":"demo","what":"sink_replay"}`},
		{"all", "orders", "", "", many, api.ProblemKind{}, `{"operator":"ada","reason":"repaired","replayed":60,"request":"r-1","sink":"orders","what":"sink_replay"}`},
	} {
		r.actions = nil
		made, err := r.Replay(t.Context(), by, tt.sink, tt.source, tt.id)
		var p *api.Problem
		if errors.As(err, &p); made.Replayed != tt.replayed || (err != nil) != (tt.is != api.ProblemKind{}) || err != nil && !tt.is.Is(p) {
			t.Errorf("%s: %+v, %v", tt.name, made, err)
		}
		action := ""
		for _, a := range r.actions {
			text, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			action += string(text)
		}
		if action != tt.action {
			t.Errorf("%s: recorded %s, want %s", tt.name, action, tt.action)
		}
	}
	if s = r.orders(); s.GivenUp != 0 || s.Retrying != many || len(s.RetryingJobs) != 50 {
		t.Errorf("after the replays: %+v", s)
	}
	r.run()
	r.until("all to be accepted", func(s api.Sink) bool { return s.Retrying == 0 && s.Pending == 0 })
}

// A receiver without sinks, and one that is no edge, say so with empty lists.
func TestNothingIsPassedOn(t *testing.T) {
	t.Parallel()
	s := &deliveries.Status{Config: &config.Config{NATS: config.NATS{Mode: config.ModeEmbedded}}, Store: (*publish.Store)(nil)}
	sinks, err := s.Sinks(t.Context())
	if text, _ := json.Marshal(sinks); err != nil || string(text) != `{"sinks":[]}` {
		t.Errorf("sinks = %s, %v", text, err)
	}
	state, err := s.Edge(t.Context())
	if text, _ := json.Marshal(state); err != nil || string(text) != `{"hub":[],"mode":"embedded","streams":[]}` {
		t.Errorf("edge = %s, %v", text, err)
	}
	s.ShowEdge(func(context.Context) (api.Edge, error) {
		return api.Edge{Mode: config.ModeEdge, Link: api.EdgeLinkUp}, nil
	})
	if state, err = s.Edge(t.Context()); err != nil || state.Link != api.EdgeLinkUp {
		t.Errorf("edge = %+v, %v", state, err)
	}
}
