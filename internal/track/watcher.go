package track

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
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
	// Told reports whether there is an event of that end of a job.
	Told(ctx context.Context, source string, end job.View) (bool, error)
	// Attempts gives the attempts of a source with that verdict, oldest first, leaving
	// out those stored before since.
	Attempts(ctx context.Context, source, verdict string, since time.Time) iter.Seq2[job.Attempt, error]
}

// Watches is the stream WATCH. Its methods promise what those of publish.Bus do.
type Watches interface {
	PutWatch(ctx context.Context, w job.Watch) (bool, error)
	Watched(ctx context.Context, source, id string) (job.Watch, bool, error)
	Watches(ctx context.Context, workers int, patience time.Duration, do func(context.Context, job.Watch) time.Duration) error
}

// Reactions hands out new submissions to whoever reacts to them, as publish.Bus does.
type Reactions interface {
	React(ctx context.Context, workers int, patience time.Duration, do func(context.Context, job.Stored, uint64) time.Duration) error
}

// Store is all that the watcher needs; publish.Bus is one.
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
	// Plan says when to ask after a job; nil means the default plan for all.
	Plan func(source, object string) Plan
	// Quarantine reports whether callbacks about jobs that nobody submitted are put
	// aside at a source; what is then submitted after all is released. Nil means no.
	Quarantine func(source string) bool
	// Known may answer from memory whether a job was submitted here, as Projection.Known
	// does. Nil means that the store is always asked.
	Known func(source, id string) (submitted, current bool)

	// Classify names what an error of Status or Rows is, in one of few words, for
	// Count; nil names all of them `error`.
	Classify func(error) string
	// Count is told of everything that happens: what is `look`, `overdue`, `lost`,
	// `late`, `conflict`, `undecided`, `errors`, `confirm` or `release`, and outcome says how it went,
	// in one of few words. Nil means that nobody counts.
	Count func(what, source, outcome string)
	Log   zerolog.Logger

	// Workers is how many questions are under way at once, and PerSource how many of
	// them at one source, so that a platform that hangs holds up nobody else. As many
	// again may be under way at a source to confirm callbacks. Defaults 16 and 4.
	Workers, PerSource int
	// Timeout bounds one question, and twice that the errors of one job. Default 30 s.
	Timeout time.Duration
	// ConfirmTimeout bounds the question by which a callback is confirmed while the
	// platform waits for our answer, the wait for a place included. It is never more than
	// half of the time that the callback has left: the rest is the store's. Default 3 s.
	ConfirmTimeout time.Duration
	// Patience is how long a replica may take over one job before another does it; it
	// must be above twice the timeout. Default 2 minutes.
	Patience time.Duration
	// MaxErrors is how many bytes of the errors of one job's rows are kept. Default 4 MiB.
	MaxErrors int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Plan == nil {
		o.Plan = func(string, string) Plan { return Plan{} }
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
	}{{&o.Timeout, 30 * time.Second}, {&o.ConfirmTimeout, 3 * time.Second}, {&o.Patience, 2 * time.Minute}} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	for _, f := range []struct {
		value    *int
		standard int
	}{{&o.Workers, 16}, {&o.PerSource, 4}, {&o.MaxErrors, 4 << 20}} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	return o
}

// Watcher sees jobs to their end. Any number of them may run on one store, in any
// number of processes: they share the work. It is safe for concurrent use.
type Watcher struct {
	o Options
	// asking are the questions of watches, and confirming those by which callbacks are
	// confirmed. Neither takes the places of the other: a flood of callbacks holds up no
	// watch, and a long list of failed rows no callback.
	asking, confirming places
	doubts             doubts
}

// New returns a watcher. Nothing happens until Run.
func New(o Options) (*Watcher, error) {
	if o.Store == nil || o.Status == nil || o.Rows == nil {
		return nil, fmt.Errorf("watching jobs needs a store, and ways to ask for statuses and errors")
	}
	o = o.withDefaults()
	if o.Patience <= 2*o.Timeout {
		return nil, fmt.Errorf("watching jobs: the patience of %v is not above twice the timeout of %v", o.Patience, o.Timeout)
	}
	return &Watcher{o: o, asking: places{each: o.PerSource}, confirming: places{each: o.PerSource}}, nil
}

// Run reacts to submissions and asks after jobs until ctx is done, and returns when what was
// under way has been broken off; other replicas take it up. What goes wrong is logged
// and tried again.
func (w *Watcher) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		w.keepOn(ctx, "asking after jobs", func() error { return w.o.Store.Watches(ctx, w.o.Workers, w.o.Patience, w.turn) })
	})
	wg.Go(func() {
		w.keepOn(ctx, "reacting to submissions", func() error { return w.o.Store.React(ctx, reactors*w.o.Workers, w.o.Patience, w.react) })
	})
	wg.Wait()
}

// storePause is how long the store is left alone after it failed.
const storePause = time.Second

// reactors is how many submissions are reacted to at once for each question: a reaction is
// quick, and its cost is the way to the store and back.
const reactors = 4

func (w *Watcher) keepOn(ctx context.Context, doing string, do func() error) {
	for {
		err := do()
		if ctx.Err() != nil {
			return
		}
		w.o.Log.Warn().Err(err).Str("doing", doing).Msg("interrupted; tried again")
		select {
		case <-ctx.Done():
			return
		case <-time.After(storePause):
		}
	}
}

func (w *Watcher) plan(source, object string) Plan { return w.o.Plan(source, object).withDefaults() }
