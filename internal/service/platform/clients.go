package platform

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"receiver/internal/config"
	"receiver/internal/poll"
	"receiver/internal/submit"
)

// Current are the clients in force. They are replaced whole at a reload.
type Current struct {
	current atomic.Pointer[Clients]
}

// Clients are the clients of the sources that have the secrets to ask with.
type Clients struct {
	cfg     *config.Config
	clients map[string]*submit.Client
}

// New returns the clients of a configuration, in force.
func New(cfg *config.Config) (*Current, error) {
	set, err := NewClients(cfg)
	if err != nil {
		return nil, err
	}
	p := new(Current)
	p.current.Store(set)
	return p, nil
}

// NewClients returns the clients of a configuration. Use puts them in force.
func NewClients(cfg *config.Config) (*Clients, error) {
	clients := map[string]*submit.Client{}
	for name, s := range cfg.Sources {
		if s.ElementToken.Empty() || s.UserSecret.Empty() {
			continue // it can receive, and its jobs are not polled
		}
		if config.Usable(s.ElementToken, s.UserSecret, s.OrganizationSecret) != nil {
			continue // in a command, which needs that of another source
		}
		client, err := Client(name, s)
		if err != nil {
			return nil, err
		}
		clients[name] = client
	}
	return &Clients{cfg: cfg, clients: clients}, nil
}

// ErrCannotAsk is the error of polling for a job of a source without secrets.
var ErrCannotAsk = errors.New("has no element_token and user_secret, so the platform cannot be polled")

// Client returns the client for a source; the error says what is missing.
func (p *Current) Client(source string) (*submit.Client, error) {
	set := p.current.Load()
	client, ok := set.clients[source]
	if !ok {
		s := set.cfg.Sources[source]
		if err := config.Usable(s.ElementToken, s.UserSecret, s.OrganizationSecret); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("source %s %w", source, ErrCannotAsk)
	}
	return client, nil
}

// Use puts other clients in force.
func (p *Current) Use(c *Clients) { p.current.Store(c) }

// Config returns the configuration of the clients in force.
func (p *Current) Config() *config.Config { return p.current.Load().cfg }

// Known reports whether a source is configured.
func (p *Current) Known(source string) bool {
	_, ok := p.current.Load().cfg.Sources[source]
	return ok
}

// Status asks the platform after a job, and returns its answer as it came.
func (p *Current) Status(ctx context.Context, source, id string) ([]byte, error) {
	client, err := p.Client(source)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(ctx, id)
	return status.Raw, err
}

// Rows gives the errors of a job's rows.
func (p *Current) Rows(ctx context.Context, source, id string) iter.Seq2[poll.Row, error] {
	return func(yield func(poll.Row, error) bool) {
		client, err := p.Client(source)
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

// Schedule says when the platform is polled for a job.
func (p *Current) Schedule(source, object string) poll.Schedule {
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

// Quarantine reports whether callbacks of unexpected jobs of a source are kept apart.
func (p *Current) Quarantine(source string) bool {
	return p.current.Load().cfg.Sources[source].UnexpectedJobs == config.UnexpectedQuarantine
}
