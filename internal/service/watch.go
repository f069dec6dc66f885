package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/submit"
	"receiver/internal/web"
)

// platforms are the clients of the sources that have the secrets to ask with. They are
// replaced whole at a reload.
type platforms struct {
	current atomic.Pointer[platformSet]
}

type platformSet struct {
	cfg     *config.Config
	clients map[string]*submit.Client
}

func newPlatforms(cfg *config.Config) (*platforms, error) {
	set, err := newPlatformSet(cfg)
	if err != nil {
		return nil, err
	}
	p := new(platforms)
	p.current.Store(set)
	return p, nil
}

func newPlatformSet(cfg *config.Config) (*platformSet, error) {
	clients := map[string]*submit.Client{}
	for name, s := range cfg.Sources {
		if s.ElementToken.Empty() || s.UserSecret.Empty() {
			continue // it can receive, and its jobs are not polled
		}
		client, err := PlatformClient(name, s)
		if err != nil {
			return nil, err
		}
		clients[name] = client
	}
	return &platformSet{cfg: cfg, clients: clients}, nil
}

// errCannotAsk is the error of polling for a job of a source without secrets.
var errCannotAsk = errors.New("has no element_token and user_secret, so the platform cannot be polled")

func (p *platforms) client(source string) (*submit.Client, error) {
	client, ok := p.current.Load().clients[source]
	if !ok {
		return nil, fmt.Errorf("source %s %w", source, errCannotAsk)
	}
	return client, nil
}

// known reports whether a source is configured.
func (p *platforms) known(source string) bool {
	_, ok := p.current.Load().cfg.Sources[source]
	return ok
}

// status asks the platform after a job, and returns its answer as it came.
func (p *platforms) status(ctx context.Context, source, id string) ([]byte, error) {
	client, err := p.client(source)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(ctx, id)
	return status.Raw, err
}

// rows gives the errors of a job's rows.
func (p *platforms) rows(ctx context.Context, source, id string) iter.Seq2[poll.Row, error] {
	return func(yield func(poll.Row, error) bool) {
		client, err := p.client(source)
		if err != nil {
			yield(poll.Row{}, err)
			return
		}
		for row, err := range client.Errors(ctx, id, 0) {
			if !yield(poll.Row{Text: row.Text, Raw: row.Raw}, err) {
				return
			}
		}
	}
}

// schedule says when the platform is polled for a job.
func (p *platforms) schedule(source, object string) poll.Schedule {
	w := p.current.Load().cfg.Sources[source].Watch
	schedule := poll.Schedule{
		Expected: w.Expected, Retry: w.Retry, Cap: w.Cap, Deadline: w.Deadline, Slow: w.Slow, Retention: w.Retention,
	}
	for _, o := range w.Objects {
		if o.Object == object {
			schedule.Expected = o.Expected
		}
	}
	return schedule
}

func (p *platforms) quarantine(source string) bool {
	return p.current.Load().cfg.Sources[source].UnexpectedJobs == config.UnexpectedQuarantine
}

// classify names an error of the platform for a metric.
func classify(err error) string {
	switch {
	case errors.Is(err, errCannotAsk):
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
		Store: in.bus, Status: in.platforms.status, Rows: in.platforms.rows,
		Unknown:  func(err error) bool { return errors.Is(err, submit.ErrNotFound) },
		Schedule: in.platforms.schedule, Quarantine: in.platforms.quarantine,
		Classify: classify, Count: in.metrics.Watch, Timeout: longest(in.cfg), Log: in.log,
		TurnTimeout: turnTimeout(in.cfg),
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
	in := &Instance{cfg: cfg, bus: bus, log: log, metrics: web.NewMetrics(bus.Dropped)}
	var err error
	if in.platforms, err = newPlatforms(cfg); err != nil {
		return Ledger{}, err
	}
	watcher, err := in.newWatcher()
	return Ledger{bus, watcher}, err
}
