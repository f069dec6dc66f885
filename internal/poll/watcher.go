// Package poll asks the platform about jobs.
//
// Use Watcher for what does not come by itself: it polls the platform for jobs whose
// callback does not come, says when they are overdue or lost, fetches the errors of rows,
// confirms callbacks with the platform, and releases quarantined callbacks. Use Show for
// one job and its polling, and Backfill for the callbacks that the platform keeps.
//
// The watcher's clock and memory are the messages of the stream WATCH, so any replica can
// go on where another stopped. The package speaks neither NATS nor HTTP; it declares the
// interfaces to both that it needs. It never decides what is authentic, never changes an
// event, and never ends a watch without saying so.
//
// OC: contract sections 1.4, 5 and 6.4, table (a) rows 10 to 15, table (b) rows 3 to 5,
// 16 to 19 and 23.
package poll

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/tracing"
)

// Events are the streams JOBS and ATTEMPTS as the watcher uses them.
type Events interface {
	// Job returns every event of a job, in the order of the stream.
	Job(ctx context.Context, source, id string) ([]job.Stored, error)
	// Publish stores an event, acknowledged, or returns with Existed the one that was
	// there already.
	Publish(ctx context.Context, e job.Event) (job.Stored, error)
	// Record stores an attempt, acknowledged.
	Record(ctx context.Context, a job.Attempt) error
}

// Lookups answer what is asked about single jobs.
type Lookups interface {
	// Has reports whether there is an event of that kind of a job.
	Has(ctx context.Context, source, id string, k job.Kind) (bool, error)
	// HasOutcome reports whether there is an event of that end of a job.
	HasOutcome(ctx context.Context, source string, end job.View) (bool, error)
	// Attempts gives the attempts of a source with that verdict, oldest first, leaving
	// out those stored before since.
	Attempts(ctx context.Context, source, verdict string, since time.Time) iter.Seq2[job.Attempt, error]
}

// Watches is the stream WATCH. Its methods promise what those of publish.Store do.
type Watches interface {
	PutWatch(ctx context.Context, w job.Watch) (bool, error)
	Watched(ctx context.Context, source, id string) (job.Watch, bool, error)
	Watches(ctx context.Context, workers int, timeout time.Duration, do func(context.Context, job.Watch) time.Duration) error
}

// Reactions hands out new submissions to a handler, as publish.Store does.
type Reactions interface {
	React(ctx context.Context, workers int, timeout time.Duration, do func(context.Context, job.Stored, uint64) time.Duration) error
}

// Store is all that the watcher needs; publish.Store is one.
type Store interface {
	Events
	Lookups
	Watches
	Reactions
}

// Options says how jobs are watched. Store, Status and Rows must be set.
type Options struct {
	Store Store
	// Status returns the platform's answer to a question after a job, as it came. A
	// source that cannot be asked is an error like any other: it is counted and shown.
	Status func(ctx context.Context, source, id string) ([]byte, error)
	// Rows gives the errors of a job's rows, page by page.
	Rows func(ctx context.Context, source, id string) iter.Seq2[Row, error]
	// Unknown reports whether an error of Status is the platform's answer that it knows no
	// such job. Nil means that no error is.
	Unknown func(error) bool
	// Schedule says when to poll for a job; nil means the default schedule for all.
	Schedule func(source, object string) Schedule
	// Quarantine reports whether a source quarantines callbacks about unknown jobs; if such a job
	// is submitted later, its callbacks are released. Nil means no.
	Quarantine func(source string) bool
	// Known may answer from memory whether a job was submitted here, as Projection.Known
	// does. Nil means that the store is always asked.
	Known func(source, id string) (submitted, current bool)

	// Classify names what an error of Status or Rows is, in one of few words, for
	// Count; nil names all of them `error`.
	Classify func(error) string
	// Count is called for everything that happens: what is `look`, `overdue`, `lost`, `late`,
	// `conflict`, `undecided`, `errors`, `confirm` or `release`, and outcome says how it went, in
	// one of few words. Nil means that nothing is counted.
	Count func(what, source, outcome string)
	// Tracer traces polls; nil traces none.
	Tracer *tracing.Tracer
	Log    zerolog.Logger

	// Timeout bounds one question, and twice that the errors of one job. Default 30 s.
	Timeout time.Duration
	// TurnTimeout is how long a replica may take over one job before another does it; it
	// must be above twice the timeout. Default 2 minutes.
	TurnTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Schedule == nil {
		o.Schedule = func(string, string) Schedule { return Schedule{} }
	}
	if o.Quarantine == nil {
		o.Quarantine = func(string) bool { return false }
	}
	if o.Known == nil {
		o.Known = func(string, string) (bool, bool) { return false, false }
	}
	if o.Unknown == nil {
		o.Unknown = func(error) bool { return false }
	}
	if o.Classify == nil {
		o.Classify = func(error) string { return "error" }
	}
	if o.Count == nil {
		o.Count = func(string, string, string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, f := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&o.Timeout, 30 * time.Second}, {&o.TurnTimeout, 2 * time.Minute}} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	return o
}

const (
	// workers is the number of concurrent polls, and perSource the number of them at one source, so
	// that a platform that hangs delays no other source. As many again may run at a source to
	// confirm callbacks.
	workers, perSource = 16, 4
	// confirmTimeout bounds the question by which a callback is confirmed while the
	// platform waits for our answer, the wait for the semaphore included. It is never more
	// than half of the time that the callback has left: the rest is the store's.
	confirmTimeout = 3 * time.Second
	// maxErrors is how many bytes of the errors of one job's rows are kept.
	maxErrors = 4 << 20
)

// Watcher sees jobs to their end. Any number of them may run on one store, in any
// number of processes: they share the work. It is safe for concurrent use.
type Watcher struct {
	o Options
	// workers, confirmTimeout and maxErrors are the constants; tests set others.
	workers, maxErrors int
	confirmTimeout     time.Duration
	// asking limits the polls of watches, and confirming those that confirm callbacks. Neither uses
	// the capacity of the other: a flood of callbacks delays no watch, and a long list of failed
	// rows delays no callback.
	asking, confirming semaphores
	unconfirmed        recentlyUnconfirmed
}

// New returns a watcher. Nothing happens until Run.
func New(o Options) (*Watcher, error) {
	if o.Store == nil || o.Status == nil || o.Rows == nil {
		return nil, fmt.Errorf("watching jobs: options without Store, Status or Rows")
	}
	o = o.withDefaults()
	if o.TurnTimeout <= 2*o.Timeout {
		return nil, fmt.Errorf("watching jobs: the turn timeout of %v is not above twice the timeout of %v", o.TurnTimeout, o.Timeout)
	}
	return &Watcher{
		o: o, workers: workers, maxErrors: maxErrors, confirmTimeout: confirmTimeout,
		asking: semaphores{limit: perSource}, confirming: semaphores{limit: perSource},
	}, nil
}

// Run reacts to submissions and polls for jobs until ctx is done. It returns after all polls under
// way were cancelled; other replicas take these jobs over. It logs errors and tries again.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		w.retry(ctx, "polling jobs", func() error { return w.o.Store.Watches(ctx, w.workers, w.o.TurnTimeout, w.turn) })
	})
	wg.Go(func() {
		w.retry(ctx, "processing submissions", func() error { return w.o.Store.React(ctx, reactors*w.workers, w.o.TurnTimeout, w.react) })
	})
	wg.Wait()
}

// storePause is how long the store is left alone after it failed.
const storePause = time.Second

// reactors is how many submissions are reacted to at once for each question: a reaction is
// quick, and its cost is the way to the store and back.
const reactors = 4

func (w *Watcher) retry(ctx context.Context, doing string, do func() error) {
	for {
		err := do()
		if ctx.Err() != nil {
			return
		}
		w.o.Log.Warn().Err(err).Str("task", doing).Msg("a background task failed and is tried again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(storePause):
		}
	}
}

func (w *Watcher) schedule(source, object string) Schedule {
	return w.o.Schedule(source, object).withDefaults()
}
