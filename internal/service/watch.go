package service

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/metrics"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// classify names an error of the platform for a metric.
func classify(err error) string {
	switch {
	case errors.Is(err, platform.ErrCannotAsk):
		return "no_secrets"
	case errors.Is(err, submit.ErrUnauthorized):
		return "unauthorized"
	case errors.Is(err, submit.ErrNotFound):
		return "not_found"
	case errors.Is(err, submit.ErrTooMany):
		return "too_many"
	case errors.Is(err, submit.ErrOtherJob):
		return "unreadable"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "unreachable"
}

// newWatcher returns the watcher of an instance; it begins with run.
func (in *Instance) newWatcher() (*poll.Watcher, error) {
	var known func(source, id string) (submitted, current bool)
	if in.list != nil {
		known = in.list.Known // spares the store a question for each callback
	}
	return poll.New(poll.Options{
		Known: known,
		Store: in.bus, Status: in.platforms.Status, Rows: in.platforms.Rows,
		Unknown:  func(err error) bool { return errors.Is(err, submit.ErrNotFound) },
		Schedule: in.platforms.Schedule, Quarantine: in.platforms.Quarantine,
		Classify: classify, Count: in.metrics.Watch, Timeout: longest(in.cfg), Log: in.log,
		TurnTimeout: turnTimeout(in.cfg), Tracer: in.tracer,
	})
}

// Ledger is the store of callbacks: the watcher asks about what an event leaves open.
type Ledger struct {
	*publish.Store
	Watcher *poll.Watcher
}

// Publish is Watcher.Publish.
func (l Ledger) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	return l.Watcher.Publish(ctx, e)
}

// longest is the longest time that any source allows for a question.
func longest(cfg *config.Config) time.Duration {
	var most time.Duration
	for _, s := range cfg.Sources {
		most = max(most, s.Timeouts.Request)
	}
	return cmp.Or(most, 30*time.Second)
}

// turnTimeout is the time after which another replica takes up a job, since the one that had
// it must have died. The errors of a job's rows, which take twice the time of a question,
// and a dozen dealings with the store fit into it. By default it is two minutes.
func turnTimeout(cfg *config.Config) time.Duration {
	return 2*longest(cfg) + 12*cfg.Limits.PublishTimeout
}

// NewLedger returns the store of a command that makes events of callbacks.
func NewLedger(cfg *config.Config, bus *publish.Store, log zerolog.Logger) (Ledger, error) {
	in := &Instance{cfg: cfg, bus: bus, log: log, metrics: metrics.New(nil)}
	var err error
	if in.platforms, err = platform.New(cfg); err != nil {
		return Ledger{}, err
	}
	watcher, err := in.newWatcher()
	return Ledger{bus, watcher}, err
}
