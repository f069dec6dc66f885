package service

import (
	"context"
	"fmt"
	"iter"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/poll"
	"receiver/internal/publish/conn"
	"receiver/internal/submit"
)

// PlatformClient returns the client for a source.
func PlatformClient(name string, s config.Source) (*submit.Client, error) {
	client, err := submit.New(platformOptions(name, s))
	if err != nil {
		return nil, config.UseErrorf("source %s: %w", name, err)
	}
	return client, nil
}

func platformOptions(name string, s config.Source) submit.Options {
	version, _ := Version()
	return submit.Options{
		Source: name, BaseURL: s.BaseURL, Hub: s.Hub, Authorities: s.TLS.Authorities,
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Timeout: s.Timeouts.Request, UploadTimeout: s.Timeouts.Upload, UserAgent: "receiver/" + version,
	}
}

// callbackURL is the address given to the platform for the callbacks of one
// submission. It ends in a token if there is a secret to make one with.
func callbackURL(cfg *config.Config, name, object, submission string) (string, error) {
	s := cfg.Sources[name]
	if s.CallbackBaseURL == "" {
		return "", config.UseErrorf("source %s has no callback_base_url: without it the platform cannot call back", name)
	}
	maker, err := callbackTokens(cfg)
	if err != nil {
		return "", err
	}
	if s.CallbackToken == config.TokenOff {
		maker = nil
	}
	return callback.Address(s.CallbackBaseURL, maker, callback.Grant{Source: name, Object: object, Submission: submission}), nil
}

// Submit uploads a file to the platform of a source, with the address to call back, and publishes
// the submitted event of the job.
func Submit(
	ctx context.Context, cfg *config.Config, c *submit.Client, publish func(context.Context, job.Event) (job.Stored, error), source string, u submit.Upload,
) (job.Stored, error) {
	event, err := c.HandOver(ctx, source, u, func(submission string) (string, error) {
		return callbackURL(cfg, source, u.Object, submission)
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
	return job.Stored{}, fmt.Errorf("job %s was submitted, but its submitted event is not stored: %w; %s", plain.Text(event.Job.ID), err, remedy)
}

// PlatformQueue returns the platform's queue as one source sees it, of at most limit callbacks.
func PlatformQueue(c *submit.Client, name string, s config.Source, limit int) poll.Queue {
	return &platformQueue{client: c, source: name, base: s.CallbackBaseURL, limit: limit}
}

// platformQueue is the platform's queue as one source sees it.
type platformQueue struct {
	client       *submit.Client
	source, base string
	limit        int
}

// Queued gives the callbacks in the queue.
func (q *platformQueue) Queued(ctx context.Context) iter.Seq2[poll.Queued, error] {
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
func (q *platformQueue) Release(ctx context.Context) (int, error) {
	released, err := q.client.Release(ctx, submit.Queued)
	return len(released), err
}

// Status returns the platform's answer to a question after a job.
func (q *platformQueue) Status(ctx context.Context, id string) ([]byte, error) {
	s, err := q.client.Status(ctx, id)
	return s.Raw, err
}

// OwnedJobs lists the jobs at the platform of a source whose callback address ends in a token of
// this configuration; where is a filter of the platform.
func OwnedJobs(ctx context.Context, cfg *config.Config, c *submit.Client, source, where string) ([]submit.Owned, error) {
	maker, err := callbackTokens(cfg)
	if err != nil {
		return nil, err
	}
	if maker == nil {
		return nil, config.UseErrorf("%s has no token_secret: without it the jobs of this receiver cannot be recognised", cfg.File)
	}
	return c.Owned(ctx, where, func(address string) (submit.Submission, bool) {
		grant, ours := maker.ReadAddress(source, address)
		return submit.Submission{ID: grant.Submission, Source: source, Object: grant.Object}, ours
	})
}
