package platform

import (
	"context"
	"errors"
	"strings"
	"time"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/submission"
	"receiver/internal/submit"
)

// Submitting submits for a running receiver. It is a submission.Platform.
type Submitting struct {
	Current *Current
	// Tokens make and read the tokens in callback addresses, as they are judged; nil without
	// token_secret.
	Tokens *callback.Tokens
	// Publish stores events.
	Publish func(ctx context.Context, e job.Event) (job.Stored, error)
}

// Submit implements submission.Platform.
func (s Submitting) Submit(ctx context.Context, q submission.Request, id string) (job.Event, error) {
	client, err := s.Current.Client(q.Source)
	if err != nil {
		return job.Event{}, err
	}
	address, err := callbackURL(s.Current.Config(), s.Tokens, q.Source, q.Object, id)
	if err != nil {
		return job.Event{}, err
	}
	made := submit.Submission{
		ID: id, Source: q.Source, Object: q.Object, Direction: q.Direction, File: q.FileName, Bytes: max(q.Size, 0),
		Metadata: q.Metadata, Payload: q.Payload, RequestID: q.RequestID, Submitted: time.Now().UTC(),
	}
	var created submit.Created
	switch gather := q.Gather.(type) {
	case submit.Query:
		gather.Metadata, gather.CallbackPayload, gather.CallbackURL = q.Metadata, q.Payload, address
		made.Query = gather.Q
		created, err = client.Query(ctx, gather)
	case submit.Download:
		gather.CallbackURL = address
		created, err = client.Download(ctx, gather)
	default:
		created, err = client.Upload(ctx, submit.Upload{
			Object: q.Object, FileName: q.FileName, File: q.Body, Size: q.Size, Path: q.Path,
			Metadata: q.Metadata, CallbackPayload: q.Payload, CallbackURL: address,
		})
	}
	if errors.Is(err, submit.ErrMayExist) {
		err = unclear{err}
	}
	if err != nil {
		return job.Event{}, err
	}
	return made.Event(created)
}

// unclear is an error after which a job may exist. It lacks the advice to look for the job, since
// the receiver does that by itself.
type unclear struct{ error }

// Error is the error without the advice.
func (u unclear) Error() string {
	text, _, _ := strings.Cut(u.error.Error(), "; "+submit.ErrMayExist.Error())
	return text
}

// Unwrap returns the error, and what it means to a submission.
func (u unclear) Unwrap() []error {
	if submit.Answered(u.error) {
		return []error{u.error, submission.ErrMayExist, submission.ErrAnswered}
	}
	return []error{u.error, submission.ErrMayExist}
}

// Find implements submission.Platform.
func (s Submitting) Find(ctx context.Context, r job.Submission) (*job.Event, error) {
	if s.Tokens == nil || s.Current.Config().Sources[r.Source].CallbackToken == config.TokenOff {
		return nil, submission.ErrCannotFind
	}
	client, err := s.Current.Client(r.Source)
	if err != nil {
		return nil, err
	}
	where := ""
	if r.Object != "" && !strings.ContainsAny(r.Object, `'"\`) {
		where = "object_name='" + r.Object + "'"
	}
	for status, err := range client.Jobs(ctx, where) {
		if err != nil {
			return nil, err
		}
		grant, ours := s.Tokens.ReadAddress(r.Source, status.NotificationURL)
		if !ours || grant.Submission != r.Name || forgotten(r, status.Created) {
			continue
		}
		event, err := submit.Owned{
			Status: status, Submission: submit.Submission{ID: r.Name, Source: r.Source, Object: r.Object},
		}.Event()
		return &event, err
	}
	return nil, nil
}

// forgotten reports whether a job is of an earlier submission by the same key, which is not
// remembered any more. An hour is for a clock that is wrong.
func forgotten(r job.Submission, created time.Time) bool {
	return !created.IsZero() && created.Before(r.Begun.Add(time.Hour-conn.SubmissionsMaxAge))
}

// Record implements submission.Platform.
func (s Submitting) Record(ctx context.Context, e job.Event) error {
	_, err := submit.Record(ctx, s.Publish, conn.ErrUnavailable, e)
	return err
}
