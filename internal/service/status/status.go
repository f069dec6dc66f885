// Package status gathers the facts that package condition decides by how a running receiver is.
//
// Gathering looks through no stream. A question to NATS is asked at most once in some seconds,
// however many clients ask for the status.
package status

import (
	"context"
	"strings"
	"sync"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/condition"
	"receiver/internal/joblist"
	"receiver/internal/metrics"
)

// Receiver is what is asked of the parts of a receiver. Ready and Store must be set; the others may
// be nil, for what the receiver does not have, or not yet.
type Receiver struct {
	Started time.Time
	// Ready is why a callback that comes now is not accepted, and Store the state of the store in
	// one word.
	Ready func(context.Context) error
	Store func() string
	// Disk is that of an embedded store.
	Disk func() condition.Disk
	// Metrics know most. They must be set if Sources is.
	Metrics *metrics.Metrics
	Sources *callback.Receiver
	Retries *callback.RetryState
	Jobs    *joblist.Projection
	// Keyless says that no log is kept for want of a key; otherwise Logs are all logs.
	Keyless bool
	Logs    func() []condition.Log
	// Check is the last check of the logs against their records.
	Check func() api.Verification
	// Sinks are the names of the sinks, and Edge says that records are forwarded to a hub.
	Sinks []string
	Edge  bool

	ready kept[error]
	edge  kept[*condition.Edge]
	sinks kept[[]condition.Sink]
}

// An answer of the store is good for so long.
const (
	readyFor = time.Second
	askedFor = 10 * time.Second
)

// readyTimeout is how long the question whether the store is ready may take.
const readyTimeout = 2 * time.Second

// kept is an answer that is good for a while.
type kept[T any] struct {
	mu    sync.Mutex
	at    time.Time
	value T
}

// get returns the answer, and asks for it if it is older than so long.
func (k *kept[T]) get(good time.Duration, ask func() T) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at.IsZero() || time.Since(k.at) >= good {
		k.value = ask()
		k.at = time.Now()
	}
	return k.value
}

// Status says how the receiver is.
func (r *Receiver) Status(ctx context.Context) condition.Status {
	return condition.Of(r.facts(ctx))
}

func (r *Receiver) facts(ctx context.Context) condition.Facts {
	f := condition.Facts{Started: r.Started, Store: r.Store(), Unsealed: r.Keyless}
	f.NotReady = r.ready.get(readyFor, func() error {
		// Others wait for the answer, so it does not end with this request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
		defer cancel()
		return r.Ready(ctx)
	})
	if r.Disk != nil {
		disk := r.Disk()
		f.Disk = &disk
	}
	if r.Logs != nil {
		f.Logs = r.checked(r.Logs())
	}
	if r.Metrics != nil {
		f.Certificates = r.Metrics.Certificates()
	}
	if f.NotReady == nil { // otherwise there is no answer, and enough is wrong
		f.Sinks = r.sinks.get(askedFor, r.askSinks)
		f.Edge = r.edge.get(askedFor, r.askEdge)
	}
	f.Now = time.Now()
	if r.Sources != nil {
		f.Sources, f.JobsUnknown = r.sources(f.Now)
	}
	return f
}

// checked adds to logs how many faults the last check found.
func (r *Receiver) checked(all []condition.Log) []condition.Log {
	if r.Check == nil {
		return all
	}
	for _, v := range r.Check().Logs {
		for i := range all {
			if strings.HasSuffix(v.Origin, "/"+all[i].Stream) {
				all[i].Faults, all[i].Checked = int64(len(v.Faults)+v.Omitted), v.Time
			}
		}
	}
	return all
}

// sources returns what is known of the sources, and whether their jobs are not known.
func (r *Receiver) sources(now time.Time) (all []condition.Source, unknown bool) {
	var counts map[string]map[joblist.State]int
	var lost map[string]time.Time
	select {
	case <-r.Jobs.Ready():
		counts, lost = r.Jobs.Counts(), r.Jobs.LastLost()
	default:
		unknown = true
	}
	for _, s := range r.Sources.Sources() {
		all = append(all, condition.Source{
			Name: s.Name, Standing: r.Retries.Standing(s.Name, now), Authentic: r.Metrics.Source(s.Name).Authentic, Overdue: counts[s.Name][joblist.Overdue], Lost: lost[s.Name],
		})
	}
	return all, unknown
}

func (r *Receiver) askSinks() (all []condition.Sink) {
	for _, name := range r.Sinks {
		all = append(all, r.Metrics.Sink(name))
	}
	return all
}

func (r *Receiver) askEdge() *condition.Edge {
	if !r.Edge {
		return nil
	}
	line, err := r.Metrics.Edge()
	e := &condition.Edge{Unknown: err, Up: line.Up}
	for _, s := range line.Streams {
		e.Behind = append(e.Behind, condition.Behind{Stream: s.Stream, Records: s.Behind, Oldest: s.Oldest})
	}
	return e
}
