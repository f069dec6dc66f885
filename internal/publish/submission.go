package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/sender"
)

// PutSubmission stores a record of a submission, acknowledged, in place of the one with its
// sequence; zero means that there must be none. It returns the new sequence. It reports false, and
// stores nothing, if another one is there. The error is ErrUnavailable.
func (b *Store) PutSubmission(ctx context.Context, r job.Submission) (sequence uint64, stored bool, err error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	data, err := r.Data()
	if err != nil {
		return 0, false, err
	}
	msg := &message{subject: job.SubmissionSubject(r.Source, r.Name), data: data}
	sequence, err = b.sendAndWait(ctx, msg, expect(r.Sequence))
	if sender.Taken(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("storing the submission on %s: %w", msg.subject, err)
	}
	return sequence, true, nil
}

// SubmissionNamed returns the record of a submission, and whether there is one. The error is
// ErrUnavailable, unless the message there is no record of this program.
func (b *Store) SubmissionNamed(ctx context.Context, source, name string) (job.Submission, bool, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	subject := job.SubmissionSubject(source, name)
	raw, err := b.submissions.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return job.Submission{}, false, nil
	}
	if err != nil {
		return job.Submission{}, false, fmt.Errorf("%w: reading %s: %v", conn.ErrUnavailable, subject, err)
	}
	r, err := job.ParseSubmission(raw.Subject, raw.Data)
	r.Sequence = raw.Sequence
	return r, true, err
}

// Submissions calls yield with the records of submissions, and goes on with those that are changed.
// It ends with ctx, and when the stream is not any more what it was.
func (b *Store) Submissions(ctx context.Context, yield func(job.Submission)) error {
	return reader.Follow(ctx, b.js, conn.SubmissionsStream, reader.From{}, func(m *jetstream.RawStreamMsg) error {
		r, err := job.ParseSubmission(m.Subject, m.Data)
		if err != nil {
			b.opts.Log.Warn().Err(err).Str("stream", conn.SubmissionsStream).Uint64("sequence", m.Sequence).Msg("a message is no record of this program and is left out")
			return nil
		}
		r.Sequence = m.Sequence
		yield(r)
		return nil
	})
}
