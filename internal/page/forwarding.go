package page

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/words"
)

// forwarded is what the view of sinks and edges shows.
type forwarded struct {
	Sinks []sinkCard
	Edge  api.Edge
	// Sink is the one that is shown whole; nil in the view of all.
	Sink *sinkCard
	// MayAdmin says that the token may have events posted again; CSRF is that of the forms.
	MayAdmin bool
	CSRF     string
	// Replayed says what was posted again just now; empty without a replay.
	Replayed string
}

// Streams are the streams that an edge forwards.
func (f forwarded) Streams() (all []stream) {
	for _, s := range f.Edge.Streams {
		all = append(all, stream{s})
	}
	return all
}

// stream is one of them as the view shows it.
type stream struct{ api.EdgeStream }

// Lag is the age of the oldest record that the hub does not have.
func (s stream) Lag() string { return words.Length(time.Duration(s.SecondsBehind) * time.Second) }

// deliveries are a table of what a sink has not accepted.
type deliveries struct {
	Of         []api.SinkDelivery
	Sink, CSRF string
	// Kind is lost for what was given up, else retried.
	Kind string
	May  bool
}

// Rows is the table of deliveries of the sink that is shown whole.
func (f forwarded) Rows(of []api.SinkDelivery, kind string) deliveries {
	return deliveries{Of: of, Sink: f.Sink.Name, CSRF: f.CSRF, Kind: kind, May: f.MayAdmin}
}

// sinkCard is a sink as the view shows it.
type sinkCard struct {
	api.Sink
	// State is the word for its state, and Class how it looks.
	State, Class string
	// Jobs are the first deliveries that are posted again, and Lost those that were given up.
	Jobs, Lost []api.SinkDelivery
}

// deliveriesShown is how many deliveries of a kind a page has, so that it stays small.
const deliveriesShown = 20

func newSinkCard(s api.Sink) sinkCard {
	c := sinkCard{
		Sink: s, State: "up to date", Class: "good",
		Jobs: s.RetryingJobs[:min(len(s.RetryingJobs), deliveriesShown)], Lost: s.GivenUpEvents[:min(len(s.GivenUpEvents), deliveriesShown)],
	}
	switch {
	case s.GivenUp > 0:
		c.State, c.Class = "gives up events", "bad"
	case s.Retrying > 0:
		c.State, c.Class = "retries", "mixed"
	case s.Pending > 0:
		c.State, c.Class = "behind", "mixed"
	}
	return c
}

// Lag is the age of the oldest event that the sink has not accepted.
func (c sinkCard) Lag() string { return words.Length(time.Duration(c.SecondsBehind) * time.Second) }

// forwarding shows what is passed on to sinks and from an edge to its hub.
func (p *Page) forwarding(v *visit) error {
	sinks, err := client.Answer[api.Sinks](v.api.ListSinks(v.r.Context()))
	if err != nil {
		return err
	}
	shown := forwarded{MayAdmin: v.May("admin"), CSRF: v.CSRF()}
	for _, s := range sinks.Sinks {
		shown.Sinks = append(shown.Sinks, newSinkCard(s))
	}
	if name := v.r.PathValue("sink"); name != "" {
		i := slices.IndexFunc(shown.Sinks, func(s sinkCard) bool { return s.Name == name })
		if i < 0 {
			return api.UnknownSink.Problem("no sink %.64q is configured; Forwarding lists those that are", name)
		}
		shown.Sink = &shown.Sinks[i]
		if n, err := strconv.ParseUint(v.r.URL.Query().Get("replayed"), 10, 32); err == nil {
			shown.Replayed = words.Count(n, "delivery") + " posted again"
		}
		return v.show("sink", name, shown, "sink")
	}
	slices.SortStableFunc(shown.Sinks, func(a, b sinkCard) int { return cmp.Compare(rank[a.Class], rank[b.Class]) })
	if shown.Edge, err = client.Answer[api.Edge](v.api.GetEdge(v.r.Context())); err != nil {
		return err
	}
	return v.show("forwarding", "Forwarding", shown, "sinks", "edge")
}

// rank has what needs attention shown first.
var rank = map[string]int{"bad": 0, "mixed": 1, "": 2, "good": 2}

// replaySink has what a sink has not accepted posted again: of one job, or all.
func (p *Page) replaySink(v *visit) error {
	name, r := v.r.PathValue("sink"), v.r
	made, err := client.Answer[api.SinkReplay](v.api.ReplaySink(r.Context(), name, &api.ReplaySinkParams{
		Source: r.URL.Query().Get("source"), Job: r.URL.Query().Get("job"), Reason: strings.TrimSpace(r.PostFormValue("reason")),
	}))
	if err != nil {
		return err
	}
	return v.back("/forwarding/" + segment(name) + "?replayed=" + strconv.Itoa(made.Replayed))
}
