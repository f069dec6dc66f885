// Package sink posts events to programs that have no NATS client.
//
// Use Sinks in a running receiver: for each sink it takes the events of a durable consumer of JOBS
// and posts them, signed as Standard Webhooks, in order for each job. An event that is not
// accepted is posted again for three days and then given up; the events behind it of the same job
// wait, those of other jobs do not. A record in the store says which events are open, so that
// another process can go on. Use Replay to have events posted again that were given up.
//
// It never follows a redirect, keeps no part of an answer but its status, and logs neither a
// secret nor an address. It does not speak NATS; it declares the interfaces that it needs.
//
// Standard Webhooks 1.0.0, spec/standard-webhooks.md of github.com/standard-webhooks.
package sink

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/tracing"
)

// Sink is one address that events are posted to.
type Sink struct {
	// Name names its position and its records.
	Name string
	URL  string
	// Secrets sign, at least one.
	Secrets [][]byte
	// Sources and Kinds select the events; none means all.
	Sources, Kinds []string
	// Oldest has a new sink begin with the oldest event that is kept, not with the next.
	Oldest bool
}

// Events are the stream JOBS; the methods promise what those of publish.Store do.
type Events interface {
	Take(ctx context.Context, sink string, filters []string, oldest bool, room func(context.Context) int, hand func(job.Handed)) error
	EventFrom(ctx context.Context, subject string, from uint64) (job.Wire, bool, error)
}

// Records are the stream SINKS; the methods promise what those of publish.Store do.
type Records interface {
	PutDelivery(ctx context.Context, d job.Delivery) (sequence uint64, stored bool, err error)
	RemoveDelivery(ctx context.Context, d job.Delivery) (bool, error)
	Deliveries(ctx context.Context, subject string, after uint64) iter.Seq2[job.Delivery, error]
	SinkChanges(ctx context.Context) (uint64, error)
	ForgetDeliveries(ctx context.Context, sink string) error
}

// Store is all that is needed of the store; publish.Store is one.
type Store interface {
	Events
	Records
}

// Lease is the right to post to a sink, held for five seconds at a time.
type Lease interface {
	Hold(ctx context.Context) (bool, error)
	Release(ctx context.Context) error
}

// Options say where events are posted. Store and Lease must be set.
type Options struct {
	Sinks []Sink
	Store Store
	// Lease returns the lease of a name, not yet held.
	Lease func(ctx context.Context, name string) (Lease, error)
	// UserAgent is a header of each request.
	UserAgent string
	// Count is called for each post, whose outcome is `accepted` or `failed`, and for each event
	// that was given up, or was not in JOBS any more: `given_up` and `gone`. Nil means that nothing
	// is counted.
	Count func(sink, outcome string)
	// Tracer traces the posts of events that are traced; nil traces none.
	Tracer *tracing.Tracer
	Log    zerolog.Logger
}

// Sinks posts events. It is safe for concurrent use.
type Sinks struct {
	o      Options
	client *http.Client
	limits limits
}

// limits are constants but for tests.
type limits struct {
	// timeout bounds one post, grace those in progress at the end.
	timeout, grace time.Duration
	// pauses are those between the tries of an event; after the last try it is given up.
	pauses []time.Duration
	// look is the pause between two looks for what is due, renew that between two renewals of the
	// lease.
	look, renew time.Duration
	// atOnce is how many posts are made at once to one sink.
	atOnce int
	// waiting is how many events that were read may wait to be posted, and retrying how many jobs
	// may have events that were not accepted. Beyond it, no more events are read.
	waiting, retrying int
}

// production are the limits; the pauses are 3 days, 3 hours and 35 minutes together.
func production() limits {
	return limits{
		timeout: 15 * time.Second, grace: 3 * time.Second,
		pauses: []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		look: time.Second, renew: time.Second, atOnce: 8, waiting: 64, retrying: 1000,
	}
}

// New returns sinks. Nothing happens until Run.
func New(o Options) (*Sinks, error) {
	if o.Store == nil || o.Lease == nil {
		return nil, errors.New("posting to sinks: options without Store or Lease")
	}
	for _, k := range o.Sinks {
		if len(k.Secrets) == 0 {
			return nil, fmt.Errorf("posting to sink %s: it has no secret", k.Name)
		}
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	return &Sinks{o: o, client: newClient(), limits: production()}, nil
}

// Run posts events until ctx is done. It returns after posts in progress have ended, which takes
// three seconds at most. It logs errors and tries again.
func (s *Sinks) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, k := range s.o.Sinks {
		all.Go(func() { s.keep(ctx, k) })
	}
	all.Wait()
}

// storePause is how long the store is left alone after it failed.
const storePause = time.Second

// keep posts to one sink until ctx is done.
func (s *Sinks) keep(ctx context.Context, k Sink) {
	for {
		err := s.lead(ctx, k)
		if ctx.Err() != nil {
			return
		}
		s.o.Log.Warn().Err(err).Str("task", "posting to sink "+k.Name).Msg("a background task failed and is tried again")
		if !sleep(ctx, storePause) {
			return
		}
	}
}

// leaseTime is how long a lease lasts that could not be renewed, less what a request takes.
const leaseTime = 4 * time.Second

var errLeaseLost = errors.New("this replica lost the lease")

// lead waits for the lease of a sink, and posts while it is held.
func (s *Sinks) lead(ctx context.Context, k Sink) error {
	lease, err := s.o.Lease(ctx, "sink."+k.Name)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
		defer cancel()
		_ = lease.Release(ctx) // it ends by itself
	}()
	for held := false; !held; {
		if held, err = lease.Hold(ctx); err != nil {
			return err
		}
		if !held && !sleep(ctx, s.limits.renew) {
			return ctx.Err()
		}
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() { ended <- s.newSession(k).run(working) }()
	for sure := time.Now(); ; {
		select {
		case err := <-ended:
			return err
		case <-time.After(s.limits.renew):
		}
		held, err := lease.Hold(ctx)
		switch {
		case held:
			sure = time.Now()
		case err == nil || time.Since(sure) > leaseTime:
			stop(errLeaseLost)
			return <-ended
		}
	}
}

// sleep waits, and reports false if ctx was done before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// filters are the subjects of the events of a sink.
func (k Sink) filters() []string {
	var all []string
	for _, source := range orAny(k.Sources) {
		for _, kind := range orAny(k.Kinds) {
			all = append(all, job.Pattern(source, "", job.Kind(kind)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all) // the server takes no subject twice
}

func orAny(names []string) []string {
	if len(names) == 0 {
		return []string{""}
	}
	return names
}
