package jobs

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/submission"
)

// Submissions submit for the private listener. It is an apiserver.Submissions.
type Submissions struct {
	Submitter *submission.Submitter
	// Platform says which sources can be asked. Ready returns why a source cannot be submitted to
	// beyond that; nil if it can.
	Platform Platform
	Ready    func(source string) error
	// Count counts an answer at a configured source: a state, or the name of a kind of problem.
	Count func(source, outcome string)
	Log   zerolog.Logger
}

// busyPause is what Retry-After asks for, in seconds.
const busyPause = 2

// Submit implements apiserver.Submissions.
func (s Submissions) Submit(ctx context.Context, q submission.Request) (job.Submission, error) {
	if _, err := s.Platform.client(q.Source); err != nil {
		return job.Submission{}, err
	}
	made, err := s.submit(ctx, q)
	switch known := new(api.Problem); {
	case err == nil:
		s.Count(q.Source, string(made.State))
	case errors.As(err, &known):
		s.Count(q.Source, known.Name())
	default:
		s.Count(q.Source, api.Unavailable.Name())
	}
	return made, err
}

func (s Submissions) submit(ctx context.Context, q submission.Request) (job.Submission, error) {
	if err := s.Ready(q.Source); err != nil {
		return job.Submission{}, api.NotConfigured.Problem("%v; see config.yaml", err)
	}
	if err := fit(&q); err != nil {
		return job.Submission{}, err
	}
	var file *arriving
	if q.Body != nil {
		file = &arriving{from: q.Body}
		q.Body = file
	}
	made, err := s.Submitter.Submit(ctx, q)
	if err != nil {
		return made, s.problem(q, file.broken(), err)
	}
	s.Log.Info().Str("source", made.Source).Str("submission", made.Name).Str("state", string(made.State)).Str("job", made.Job).
		Str("operator", access.Operator(ctx)).Str("request", q.RequestID).Msg("submitted by the HTTP API")
	return made, nil
}

// problem returns what an error is for who submitted; broken is that of reading the file.
func (s Submissions) problem(q submission.Request, broken, err error) error {
	var known *api.Problem
	switch {
	case errors.Is(err, submission.ErrReused):
		return api.KeyReused.Problem("%v", err)
	case errors.Is(err, submission.ErrBusy):
		p := api.Busy.Problem("%v", err)
		p.RetryAfter = busyPause
		return p
	case errors.As(broken, &known):
		return known
	case broken != nil:
		return api.BadRequest.Problem("the file did not arrive completely; send the request again")
	case errors.Is(err, conn.ErrUnavailable):
		return err
	}
	s.Log.Warn().Err(err).Str("source", q.Source).Str("request", q.RequestID).Msg("submitting to the platform failed; there is no job")
	return problem(err)
}

// Submission implements apiserver.Submissions.
func (s Submissions) Submission(ctx context.Context, source, name string) (job.Submission, error) {
	unknown := api.UnknownSubmission.Problem("no submission %q of source %q is kept here; they are kept for a week", name, source)
	if !job.ValidSource(source) {
		return job.Submission{}, unknown
	}
	found, there, err := s.Submitter.Store.SubmissionNamed(ctx, source, name)
	switch {
	case err != nil:
		return found, err
	case !there:
		return found, unknown
	case !found.Open():
		return found, nil
	}
	return s.Submitter.Resolve(ctx, found)
}

// arriving is a file that is read from a request, and remembers why it could not be read on. The
// last Read may be under way when nobody waits for it any more.
type arriving struct {
	from io.Reader
	mu   sync.Mutex
	err  error
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.from.Read(p)
	if err != nil && err != io.EOF {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.err = err
	}
	return n, err
}

// broken returns why the file could not be read on; nil if it could, and of no file.
func (a *arriving) broken() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
