package publish

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// Has reports whether JOBS holds an event of that kind of a job. A replica that lags
// behind its leader may not know yet. Its error is ErrUnavailable.
func (b *Bus) Has(ctx context.Context, source, id string, k job.Kind) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.Subject(source, id, k)
	_, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: looking for %s: %v", ErrUnavailable, subject, err)
	}
	return true, nil
}

// Submission returns our own id of the submission of a job, and whether JOBS holds its
// submitted event yet. Its error is ErrUnavailable.
func (b *Bus) Submission(ctx context.Context, source, id string) (submission string, known bool, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.Subject(source, id, job.Submitted)
	raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("%w: looking for %s: %v", ErrUnavailable, subject, err)
	}
	e, err := b.stored(ctx, raw, nil)
	if err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return e.Job.Submission, true, nil
}

// Told reports whether JOBS holds that end of a job, as the one that came first or as a
// conflict. A replica that lags behind its leader may not know yet. Its error is
// ErrUnavailable, unless what is there is none of ours.
func (b *Bus) Told(ctx context.Context, source string, end job.View) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	first, there, err := b.end(ctx, job.Subject(source, end.ID, job.Finished))
	if !there || err != nil || first.Job.SameOutcome(end) {
		return there && err == nil, err
	}
	for e, err := range b.on(ctx, job.Subject(source, end.ID, job.Conflict), hidden) {
		if err != nil || e.Job.SameOutcome(end) {
			return err == nil, err
		}
	}
	return false, nil
}

// end returns the event on the subject of a job's end, if there is one, and remembers it.
func (b *Bus) end(ctx context.Context, subject string) (job.Stored, bool, error) {
	if e, ok := b.recent.on(subject); ok {
		return e, true, nil
	}
	raw, err := b.jobs.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return job.Stored{}, false, nil
	}
	if err != nil {
		return job.Stored{}, false, fmt.Errorf("%w: looking for %s: %v", ErrUnavailable, subject, err)
	}
	e, err := b.stored(ctx, raw, hidden)
	if err != nil {
		return job.Stored{}, false, err
	}
	b.recent.put(subject, e, []byte(e.Digest()))
	return e, true, nil
}

// Attempts gives the attempts of a source with a verdict, oldest first, up to the last
// that was there when it was called. Those stored before since are left out; zero leaves
// out none.
func (b *Bus) Attempts(ctx context.Context, source, verdict string, since time.Time) iter.Seq2[job.Attempt, error] {
	subject := job.Attempt{Source: source, Verdict: verdict}.Subject()
	return func(yield func(job.Attempt, error) bool) {
		if none, err := b.noneSince(ctx, subject, since); none || err != nil {
			if err != nil {
				yield(job.Attempt{}, err)
			}
			return
		}
		for m, err := range b.Messages(ctx, Watch{Stream: AttemptsStream, Subjects: []string{subject}, Since: since}) {
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

// noneSince spares the making of a consumer in the usual case.
func (b *Bus) noneSince(ctx context.Context, subject string, since time.Time) (bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	last, err := b.attempts.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: looking for %s: %v", ErrUnavailable, subject, err)
	}
	return last.Time.Before(since), nil
}
