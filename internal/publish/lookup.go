package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// Has reports whether JOBS holds an event of that kind of a job. A replica that lags behind its
// leader may not have it yet. The error is ErrUnavailable.
func (b *Store) Has(ctx context.Context, source, id string, k job.Kind) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.Subject(source, id, k)
	_, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: looking for %s: %v", conn.ErrUnavailable, subject, err)
	}
	return true, nil
}

// Submission returns this program's id of the submission of a job, and whether JOBS holds its
// submitted event yet. The error is ErrUnavailable.
func (b *Store) Submission(ctx context.Context, source, id string) (submission string, known bool, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.Subject(source, id, job.Submitted)
	raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%w: looking for %s: %v", conn.ErrUnavailable, subject, err)
	}
	e, err := b.stored(ctx, raw, nil)
	if err != nil {
		return "", false, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	return e.Job.Submission, true, nil
}

// HasOutcome reports whether JOBS holds that end of a job, as the first one or as a conflict. A
// replica that lags behind its leader may not have it yet. The error is ErrUnavailable, unless the
// message there is no event of this program.
func (b *Store) HasOutcome(ctx context.Context, source string, end job.View) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	first, there, err := b.end(ctx, job.Subject(source, end.ID, job.Finished))
	if !there || err != nil || first.Job.SameOutcome(end) {
		return there && err == nil, err
	}
	for e, err := range b.on(ctx, job.Subject(source, end.ID, job.Conflict), withoutDecrypting) {
		if err != nil || e.Job.SameOutcome(end) {
			return err == nil, err
		}
	}
	return false, nil
}

// end returns the event on the subject of a job's end, if there is one, and caches it.
func (b *Store) end(ctx context.Context, subject string) (job.Stored, bool, error) {
	if e, ok := b.recent.get(subject); ok {
		return e, true, nil
	}
	raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return job.Stored{}, false, nil
	}
	if err != nil {
		return job.Stored{}, false, fmt.Errorf("%w: looking for %s: %v", conn.ErrUnavailable, subject, err)
	}
	e, err := b.stored(ctx, raw, withoutDecrypting)
	if err != nil {
		return job.Stored{}, false, err
	}
	b.recent.add(subject, e, []byte(e.Digest()))
	return e, true, nil
}

// Attempts yields the attempts of a source with a verdict, oldest first, up to the last at the time
// of the call. It leaves out those stored before since; zero means all.
func (b *Store) Attempts(ctx context.Context, source, verdict string, since time.Time) iter.Seq2[job.Attempt, error] {
	subject := job.Attempt{Source: source, Verdict: verdict}.Subject()
	return func(yield func(job.Attempt, error) bool) {
		if none, err := b.noneSince(ctx, subject, since); none || err != nil {
			if err != nil {
				yield(job.Attempt{}, err)
			}
			return
		}
		for m, err := range b.Messages(ctx, Watch{Stream: conn.AttemptsStream, Subjects: []string{subject}, Since: since}) {
			var a job.Attempt
			if err == nil {
				a, err = job.ParseAttempt(m.Subject, m.Header, m.clear())
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// noneSince avoids creating a consumer in the usual case.
func (b *Store) noneSince(ctx context.Context, subject string, since time.Time) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	last, err := b.attempts.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: looking for %s: %v", conn.ErrUnavailable, subject, err)
	}
	return last.Time.Before(since), nil
}
