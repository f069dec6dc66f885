// Package jobs answers the private listener about jobs: from the list of jobs, the stream JOBS and,
// where neither knows, the platform.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/poll"
	"receiver/internal/preflight"
	"receiver/internal/publish"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// Reader reads the jobs of one receiver. It is an apiserver.Jobs. All its errors are problems, or
// those of the store.
type Reader struct {
	// Listed has all jobs, Store their events.
	Listed *joblist.Projection
	Store  *publish.Store
	// Platform is asked where the store does not know.
	Platform Platform
	// Schedule says when a job becomes overdue; nil leaves that out.
	Schedule func(source, object string) poll.Schedule
}

// List implements apiserver.Jobs.
func (r Reader) List(ctx context.Context, q joblist.Query, wait time.Duration) (joblist.Page, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	changed, err := r.Listed.Follow(waiting, q) // before the list is read, so that no change is between the two
	if err != nil {
		return joblist.Page{}, asked(err)
	}
	page, err := r.Listed.List(q)
	if err == nil && wait > 0 && len(page.Jobs) == 0 {
		for range changed {
			if page, err = r.Listed.List(q); err != nil || len(page.Jobs) > 0 {
				break
			}
		}
	}
	r.due(ctx, page.Jobs)
	return page, asked(err)
}

// Counts implements apiserver.Jobs.
func (r Reader) Counts() joblist.Tallies { return r.Listed.Tallies() }

// asked makes a problem of an error that is the fault of who asked.
func asked(err error) error {
	if errors.Is(err, joblist.ErrQuery) || errors.Is(err, joblist.ErrCursor) {
		return api.BadRequest.Problem("%v", err)
	}
	return err
}

// Job implements apiserver.Jobs.
func (r Reader) Job(ctx context.Context, source, id string, ended bool, wait time.Duration) (joblist.Job, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	changed, err := r.Listed.Follow(waiting, joblist.Query{Source: source, Text: id})
	if err != nil {
		return joblist.Job{}, err
	}
	j, err := r.show(ctx, source, id)
	come := func() bool { return err != nil || j.State != "" && (!ended || j.Ended()) }
	if !come() && wait > 0 {
		for listed := range changed {
			if listed.ID != id {
				continue
			}
			if j, err = r.show(ctx, source, id); come() {
				break
			}
		}
	}
	if err == nil && j.State == "" {
		err = unknown(source, id)
	}
	if r.Schedule != nil && slices.Contains(joblist.Open, j.State) {
		watch := job.Watch{}
		if j.Watch != nil {
			watch = *j.Watch
		}
		j.Due = r.dueOf(watch, j.Watch != nil, source, j.View.Object, j.SubmittedAt, j.Expected)
	}
	return j, err
}

func (r Reader) show(ctx context.Context, source, id string) (joblist.Job, error) {
	if !job.ValidSource(source) { // no source has events; a wildcard would match those of others
		return joblist.Job{}, nil
	}
	return poll.Show(ctx, r.Store, r.Store, source, id)
}

func unknown(source, id string) error {
	return api.UnknownJob.Problem("job %q of source %q is not recorded here; GET /v1/sources/{source}/jobs/{job}/status asks the platform", id, source)
}

// Events implements apiserver.Jobs.
func (r Reader) Events(ctx context.Context, source, id string) ([]job.Stored, error) {
	if !job.ValidSource(source) {
		return nil, unknown(source, id)
	}
	events, err := r.Store.Job(ctx, source, id)
	if err == nil && len(events) == 0 {
		err = unknown(source, id)
	}
	return events, err
}

// Object implements apiserver.Jobs.
func (r Reader) Object(ctx context.Context, source, id string) (string, error) {
	j, err := r.show(ctx, source, id)
	return j.View.Object, err
}

// Errors implements apiserver.Jobs.
func (r Reader) Errors(ctx context.Context, source, id string, limit int, platform bool) (api.RowErrors, error) {
	if !platform {
		found, stored, err := r.stored(ctx, source, id, limit)
		if stored || err != nil {
			return found, err
		}
	}
	client, err := r.Platform.client(source)
	if err != nil {
		return api.RowErrors{}, err
	}
	found := api.RowErrors{From: api.RowErrorsFromPlatform, Errors: []poll.Row{}}
	for row, err := range client.Errors(ctx, id, limit+1) {
		if err != nil {
			return found, problem(err)
		}
		if len(found.Errors) == limit {
			found.Truncated = true
			break
		}
		found.Errors = append(found.Errors, poll.Row{Text: row.Text, Raw: row.Raw})
	}
	return found, nil
}

// stored returns the errors in the errors event of a job; false if none can be read.
func (r Reader) stored(ctx context.Context, source, id string, limit int) (found api.RowErrors, ok bool, err error) {
	if !job.ValidSource(source) {
		return found, false, nil
	}
	events, err := r.Store.Job(ctx, source, id)
	if err != nil {
		return found, false, err
	}
	for _, e := range events {
		if e.Kind != job.Errors || e.Hidden || e.Lost {
			continue
		}
		rows, err := poll.ParseRows(e.Data)
		if err != nil {
			return found, false, err
		}
		shown := min(limit, len(rows.Rows))
		return api.RowErrors{
			From: api.RowErrorsFromEvent, Errors: rows.Rows[:shown], Truncated: rows.Truncated || shown < len(rows.Rows),
		}, true, nil
	}
	return found, false, nil
}

// Platform asks the platform of a source. It is an apiserver.Platform.
type Platform struct {
	// Clients returns the client for a source, and Known reports whether there is such a source.
	Clients func(source string) (*submit.Client, error)
	Known   func(source string) bool
}

// Status implements apiserver.Platform.
func (p Platform) Status(ctx context.Context, source, id string) (api.Status, error) {
	return ask(p, source, func(c *submit.Client) (api.Status, error) { return c.Status(ctx, id) })
}

// Result implements apiserver.Platform.
func (p Platform) Result(ctx context.Context, source, id, object, mediaType string) (io.ReadCloser, error) {
	return ask(p, source, func(c *submit.Client) (io.ReadCloser, error) { return c.OpenResult(ctx, id, object, mediaType) })
}

// Objects implements apiserver.Platform.
func (p Platform) Objects(ctx context.Context, source string) (api.Objects, error) {
	objects, err := ask(p, source, func(c *submit.Client) ([]submit.Object, error) { return c.Objects(ctx) })
	return api.Objects{Objects: objects}, err
}

// Metadata implements apiserver.Platform.
func (p Platform) Metadata(ctx context.Context, source, object string) (api.Metadata, error) {
	return ask(p, source, func(c *submit.Client) (api.Metadata, error) { return c.Metadata(ctx, object) })
}

// Preflight implements apiserver.Platform.
func (p Platform) Preflight(ctx context.Context, source, object string, f preflight.File) (preflight.Report, error) {
	if f.Metadata != "" && !isObject(json.RawMessage(f.Metadata)) {
		return preflight.Report{}, api.BadRequest.Problem("metadata is not a JSON object")
	}
	return ask(p, source, func(c *submit.Client) (preflight.Report, error) { return platform.Preflight(ctx, c, object, f), nil })
}

// cancel asks the platform to cancel a job.
func (p Platform) cancel(ctx context.Context, source, id string) (api.Status, error) {
	return ask(p, source, func(c *submit.Client) (api.Status, error) { return c.Cancel(ctx, id) })
}

func ask[T any](p Platform, source string, question func(*submit.Client) (T, error)) (answer T, err error) {
	client, err := p.client(source)
	if err != nil {
		return answer, err
	}
	if answer, err = question(client); err != nil {
		return answer, problem(err)
	}
	return answer, nil
}

func unknownSource(name string) error {
	return api.UnknownSource.Problem("no source %q is configured; GET /v1/sources lists them", name)
}

func (p Platform) client(source string) (*submit.Client, error) {
	if !p.Known(source) {
		return nil, unknownSource(source)
	}
	client, err := p.Clients(source)
	if err != nil {
		return nil, api.NotConfigured.Problem("%v; set both, see config.yaml", err)
	}
	return client, nil
}

// problem returns what an error of a client is for who asked.
func problem(err error) error {
	var input submit.InputError
	var refused *submit.Error
	switch {
	case errors.As(err, &input):
		return api.BadRequest.Problem("%v", err)
	case errors.Is(err, submit.ErrNotFound):
		return api.UnknownAtPlatform.Problem("%v; it may have deleted it", err)
	case errors.As(err, &refused):
		return api.PlatformRefused.Problem("%v", err)
	}
	return api.PlatformFailed.Problem("%v; try again", err)
}
