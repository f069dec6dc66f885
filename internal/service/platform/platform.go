// Package platform builds what talks to the platform of each source out of the configuration: the
// clients, the addresses to call back, and what is submitted through them.
package platform

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/poll"
	"receiver/internal/publish/conn"
	"receiver/internal/submit"
	"receiver/internal/tracing"
	"receiver/internal/version"
)

// Client returns the client for a source.
func Client(name string, s config.Source) (*submit.Client, error) {
	err := config.Usable(s.ElementToken, s.UserSecret, s.OrganizationSecret)
	if err != nil {
		return nil, err
	}
	client, err := submit.New(Options(name, s))
	if err != nil {
		return nil, config.UseErrorf("source %s: %w", name, err)
	}
	return client, nil
}

// Options returns the options of the client for a source.
func Options(name string, s config.Source) submit.Options {
	program, _ := version.Read()
	return submit.Options{
		Source: name, BaseURL: s.BaseURL, Hub: s.Hub, Authorities: s.TLS.Authorities,
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Timeout: s.Timeouts.Request, UploadTimeout: s.Timeouts.Upload, UserAgent: "receiver/" + program,
		Around: tracing.Transport,
	}
}

// callbackURL is the address given to the platform for the callbacks of one
// submission. It ends in a token if there is a secret to make one with.
func callbackURL(cfg *config.Config, maker *callback.Tokens, name, object, submission string) (string, error) {
	s := cfg.Sources[name]
	if s.CallbackBaseURL == "" {
		return "", config.UseErrorf("source %s has no callback_base_url: without it the platform cannot call back", name)
	}
	if s.CallbackToken == config.TokenOff {
		maker = nil
	}
	return callback.Address(s.CallbackBaseURL, maker, callback.Grant{Source: name, Object: object, Submission: submission}), nil
}

// ErrNotRecorded is in the chain when a job was submitted and could not be recorded. Do not submit
// it again.
var ErrNotRecorded = errors.New("its submitted event is not stored")

// Reachable returns why the platform cannot call back for a source; nil if it can.
func (p *Current) Reachable(source string) error {
	_, err := callbackURL(p.Config(), nil, source, "", "")
	return err
}

// Submit uploads a file to the platform of a source, with the address to call back, and publishes
// the submitted event of the job.
func Submit(
	ctx context.Context, cfg *config.Config, c *submit.Client, publish func(context.Context, job.Event) (job.Stored, error), source string, u submit.Upload,
) (job.Stored, error) {
	maker, err := Tokens(cfg)
	if err != nil {
		return job.Stored{}, err
	}
	event, err := c.HandOver(ctx, source, u, func(submission string) (string, error) {
		return callbackURL(cfg, maker, source, u.Object, submission)
	})
	if err != nil {
		return job.Stored{}, err
	}
	stored, err := submit.Record(ctx, publish, conn.ErrUnavailable, event)
	if err == nil {
		return stored, nil
	}
	remedy := fmt.Sprintf("`receiver jobs find --source %s` finds it at the platform and records it", event.Source)
	if cfg.TokenSecret.Empty() {
		remedy = "keep its id: without a token_secret no command can find it, and its callback will be of an unknown job"
	}
	return job.Stored{}, fmt.Errorf("job %s was submitted, but %w: %w; %s", plain.Text(event.Job.ID), ErrNotRecorded, err, remedy)
}

// Queue returns the platform's queue as one source sees it, of at most limit callbacks.
func Queue(c *submit.Client, name string, s config.Source, limit int) poll.Queue {
	return &queue{client: c, source: name, base: s.CallbackBaseURL, limit: limit}
}

// queue is the platform's queue as one source sees it.
type queue struct {
	client       *submit.Client
	source, base string
	limit        int
}

// Queued gives the callbacks in the queue.
func (q *queue) Queued(ctx context.Context) iter.Seq2[poll.Queued, error] {
	return func(yield func(poll.Queued, error) bool) {
		for d, err := range q.client.Deliveries(ctx, submit.Queued, q.limit) {
			if !yield(poll.Queued{
				ID: d.ID, Job: d.JobID, Here: callback.IsAddress(d.URL, q.base, q.source), Body: d.Body, Attempts: d.Attempts, Created: d.Created,
			}, err) {
				return
			}
		}
	}
}

// Release has the queue sent again.
func (q *queue) Release(ctx context.Context) (int, error) {
	released, err := q.client.Release(ctx, submit.Queued)
	return len(released), err
}

// Status returns the platform's answer to a question after a job.
func (q *queue) Status(ctx context.Context, id string) ([]byte, error) {
	s, err := q.client.Status(ctx, id)
	return s.Raw, err
}

// OwnedJobs lists the jobs at the platform of a source whose callback address ends in a token of
// this configuration; where is a filter of the platform.
func OwnedJobs(ctx context.Context, cfg *config.Config, c *submit.Client, source, where string) ([]submit.Owned, error) {
	maker, err := Tokens(cfg)
	if err != nil {
		return nil, err
	}
	if maker == nil {
		return nil, config.UseErrorf("%s has no token_secret: without it the jobs of this receiver cannot be recognised", cfg.Name())
	}
	return c.Owned(ctx, where, func(address string) (submit.Submission, bool) {
		grant, ours := maker.ReadAddress(source, address)
		return submit.Submission{ID: grant.Submission, Source: source, Object: grant.Object}, ours
	})
}

// Tokens returns the maker and reader of tokens, or nil if no secret is configured.
func Tokens(cfg *config.Config) (*callback.Tokens, error) {
	if cfg.TokenSecret.Empty() {
		return nil, nil
	}
	if err := config.Usable(cfg.TokenSecret); err != nil {
		return nil, err
	}
	t, err := callback.NewTokens(cfg.TokenSecret.Bytes())
	if err != nil {
		return nil, fmt.Errorf("token_secret: %w", err)
	}
	return t, nil
}
