package deliveries

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/durables"
	"receiver/internal/sink"
	"receiver/internal/web/apiserver"
)

// Status answers the API about what is passed on: to sinks and, from an edge, to its hub. It is an
// apiserver.Forwarding, safe for concurrent use.
type Status struct {
	Config *config.Config
	Store  *publish.Store
	// Record records an action with its details, before it is done.
	Record func(ctx context.Context, a job.Action, details map[string]any) error

	mu       sync.Mutex
	accepted map[string]time.Time // when, by sink
	link     func(context.Context) (api.Edge, error)
}

// Counted returns a function that notes when a sink accepted an event, and calls count.
func (s *Status) Counted(count func(name, outcome string)) func(name, outcome string) {
	return func(name, outcome string) {
		if outcome == "accepted" {
			s.mu.Lock()
			if s.accepted == nil {
				s.accepted = map[string]time.Time{}
			}
			s.accepted[name] = time.Now().UTC()
			s.mu.Unlock()
		}
		count(name, outcome)
	}
}

// ShowEdge has Edge answer with the state of a link.
func (s *Status) ShowEdge(link func(context.Context) (api.Edge, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = link
}

// Edge implements apiserver.Forwarding.
func (s *Status) Edge(ctx context.Context) (api.Edge, error) {
	s.mu.Lock()
	link := s.link
	s.mu.Unlock()
	if link != nil {
		return link(ctx)
	}
	return api.Edge{Mode: s.Config.NATS.Mode, Hub: []string{}, Streams: []api.EdgeStream{}}, nil
}

// Sinks implements apiserver.Forwarding.
func (s *Status) Sinks(ctx context.Context) (api.Sinks, error) {
	all := api.Sinks{Sinks: []api.Sink{}}
	for _, k := range s.Config.Sinks {
		shown, err := s.sink(ctx, k)
		if err != nil {
			return api.Sinks{}, err
		}
		all.Sinks = append(all.Sinks, shown)
	}
	return all, nil
}

// listed is how many deliveries of a kind are shown of a sink.
const listed = 50

func (s *Status) sink(ctx context.Context, k config.Sink) (api.Sink, error) {
	backlog, err := s.Store.Backlog(ctx, k.Name)
	if err != nil {
		return api.Sink{}, err
	}
	// The sender bounds the jobs that are retried; what was given up has no bound.
	retried, err := sink.List(ctx, s.Store, job.SinkPattern(k.Name, false, ">"), 0)
	if err != nil {
		return api.Sink{}, err
	}
	lost, err := sink.List(ctx, s.Store, job.SinkPattern(k.Name, true, ">"), listed)
	if err != nil {
		return api.Sink{}, err
	}
	slices.SortFunc(retried, func(a, b job.Delivery) int { return cmp.Compare(a.Next, b.Next) })
	shown := api.Sink{
		Name: k.Name, Pending: backlog.Pending, Retrying: backlog.Retrying, GivenUp: backlog.GivenUp,
		RetryingJobs: shown(retried), GivenUpEvents: shown(lost),
	}
	if u, err := url.Parse(k.URL); err == nil {
		shown.Host = u.Host
	}
	open := uint64(0)
	if len(retried) > 0 {
		open = retried[0].Next
	}
	oldest, err := s.Store.Oldest(ctx, durables.SinkConsumer(k.Name), open)
	if err != nil {
		return api.Sink{}, err
	}
	shown.Oldest, shown.SecondsBehind = oldest.UTC(), Age(oldest)
	s.mu.Lock()
	defer s.mu.Unlock()
	shown.LastAccepted = s.accepted[k.Name]
	return shown, nil
}

// Age returns the age in whole seconds of what was stored at a time; 0 of nothing.
func Age(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return int64(max(time.Since(at), 0) / time.Second)
}

func shown(all []job.Delivery) []api.SinkDelivery {
	shown := []api.SinkDelivery{}
	for _, d := range all[:min(len(all), listed)] {
		source, id := d.Source()
		shown = append(shown, api.SinkDelivery{
			Source: source, Job: id, Sequence: d.Next, Tries: d.Tries, Since: d.Since.UTC(), Due: d.Due.UTC(), Error: d.Error,
		})
	}
	return shown
}

// Replay implements apiserver.Forwarding.
func (s *Status) Replay(ctx context.Context, by apiserver.By, name, source, id string) (api.SinkReplay, error) {
	if names := Names(s.Config); !slices.Contains(names, name) {
		return api.SinkReplay{}, api.UnknownSink.Problem("the configuration has no sink %.64q; it has: %s", name, cmp.Or(strings.Join(names, ", "), "none"))
	}
	if (source == "") != (id == "") {
		return api.SinkReplay{}, api.BadRequest.Problem("give both source and job for one job, or neither for all")
	}
	r := Replay{
		Sink: name, Source: source, Job: id, All: id == "",
		Record: func(ctx context.Context, details map[string]any) error {
			details["request"] = by.RequestID
			return s.Record(ctx, job.Action{What: job.ActionSinkReplay, Operator: by.Operator, Reason: by.Reason}, details)
		},
	}
	open, err := sink.Open(ctx, s.Store, name, "")
	if err != nil {
		return api.SinkReplay{}, err
	}
	n, err := r.replay(ctx, s.Store, open)
	return api.SinkReplay{Sink: name, Replayed: n}, err
}
