// Package submission submits a job at most once for each request, whatever dies on the way: it
// decides what a record of a submission means, when a file may be sent again, and when the platform
// must be asked for the job first.
//
// It reads and writes records through an interface, and asks the platform through another; it
// speaks neither NATS nor HTTP.
package submission

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"receiver/internal/job"
)

// The errors of Submit.
var (
	// ErrReused: the key belongs to another request: with other parameters or another body.
	ErrReused = errors.New("the key was used for another request; use a new key for a new job")
	// ErrBusy: a request with this key is being sent.
	ErrBusy = errors.New("a request with this key is being sent to the platform; ask again when it has ended")
	// ErrMayExist: the platform may have made a job. A Platform returns it.
	ErrMayExist = errors.New("the job may exist")
	// ErrAnswered: the platform answered, before the end of the file perhaps, and did not say
	// whether it made a job. A Platform returns it beside ErrMayExist.
	ErrAnswered = errors.New("the platform answered without a job")
	// ErrCannotFind: the platform cannot be asked for the job of a submission. A Platform returns
	// it.
	ErrCannotFind = errors.New("the jobs of this receiver cannot be recognised at the platform without token_secret")
)

// Request is what is to be submitted, once.
type Request struct {
	Source string
	// Key is what a repeat of the request has, too; empty if it is not repeated.
	Key string
	// Direction is UPLOAD or DOWNLOAD.
	Direction string
	// Object, FileName, Path, Metadata and Payload are those of an upload.
	Object, FileName, Path string
	Metadata, Payload      json.RawMessage
	// Gather is what a job that gathers rows is asked for, of a type of the Platform; nil of an
	// upload. Two with the same JSON are the same.
	Gather any
	// Body is the file, read once; nil without one. Size is its length in bytes; -1 is unknown.
	Body io.Reader
	Size int64
	// RequestID is the id of the HTTP request.
	RequestID string
}

// parameters returns the digest of everything but the body.
func (q Request) parameters() (string, error) {
	return digest([]any{q.Direction, q.Object, q.FileName, q.Path, string(q.Metadata), string(q.Payload), q.Gather})
}

// Store keeps the records for a week. Its methods promise what those of publish.Store do.
type Store interface {
	// SubmissionNamed returns a record, and whether there is one.
	SubmissionNamed(ctx context.Context, source, name string) (job.Submission, bool, error)
	// PutSubmission stores a record in place of the one with its sequence; zero means that there
	// must be none. It returns its new sequence, and reports false, and stores nothing, if another
	// one is there.
	PutSubmission(ctx context.Context, r job.Submission) (sequence uint64, stored bool, err error)
}

// Platform submits to the platform of a source, and finds what was submitted.
type Platform interface {
	// Submit sends a request under the name of a submission, and returns the submitted event of the
	// job. With an error that is not ErrMayExist there is no job.
	Submit(ctx context.Context, q Request, name string) (job.Event, error)
	// Find returns the submitted event of the job of a submission; nil if the platform lists none.
	// The error may be ErrCannotFind.
	Find(ctx context.Context, r job.Submission) (*job.Event, error)
	// Record stores a submitted event. If the store is away it is tried again for a while.
	Record(ctx context.Context, e job.Event) error
}

// Submitter submits requests.
type Submitter struct {
	Store    Store
	Platform Platform

	mu    sync.Mutex
	asked map[string]time.Time // when the platform was asked for a submission last, by source and name
	none  map[string]time.Time // when it first listed no job of one, by source, name and sequence
}

const (
	// leaseTime is how long a pending record belongs to its process, which renews it every
	// renewTime.
	leaseTime, renewTime = 30 * time.Second, 10 * time.Second
	// askPause is how long the platform is not asked again for one submission.
	askPause = 2 * time.Second
	// settleTime is how long after a lost answer the platform's list may lack the job.
	settleTime = 2 * time.Minute
)

// now is the time in UTC.
func now() time.Time { return time.Now().UTC() }

// nameOf makes the name of a submission of the key of its request.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// digest returns the SHA-256 of values as JSON, in hexadecimal.
func digest(values any) (string, error) {
	text, err := json.Marshal(values)
	if err != nil {
		return "", fmt.Errorf("reading the parameters: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Submit submits a request, or returns what became of it before. Of a returned record the state is
// Submitted or Unknown. The error is ErrReused, ErrBusy, that of the store, of reading the body, or
// of the platform, which then has made no job.
func (s *Submitter) Submit(ctx context.Context, q Request) (job.Submission, error) {
	parameters, err := q.parameters()
	if err != nil {
		return job.Submission{}, err
	}
	fresh := job.Submission{Source: q.Source, Name: rand.Text(), Object: q.Object, State: job.SubmissionPending, Parameters: parameters, Begun: now(), Request: q.RequestID}
	if q.Key != "" {
		fresh.Name = nameOf(q.Key)
	}
	for {
		was, there, err := s.Store.SubmissionNamed(ctx, fresh.Source, fresh.Name)
		if err != nil {
			return job.Submission{}, err
		}
		if there {
			if was.Parameters != parameters {
				return job.Submission{}, ErrReused
			}
			if was, err = s.Resolve(ctx, was); err != nil {
				return job.Submission{}, err
			}
			switch was.State {
			case job.SubmissionPending:
				return job.Submission{}, ErrBusy
			case job.SubmissionSubmitted, job.SubmissionUnknown:
				return was, q.same(was)
			case job.SubmissionFailed: // it is sent again
			}
		}
		fresh.Sequence, fresh.Changed, fresh.Lease = was.Sequence, now(), now().Add(leaseTime)
		sequence, stored, err := s.Store.PutSubmission(ctx, fresh)
		if err != nil {
			return job.Submission{}, err
		}
		if stored {
			fresh.Sequence = sequence
			return s.send(ctx, q, fresh)
		}
	}
}

// same reads the body of a repeat, and returns ErrReused if it is another one.
func (q Request) same(was job.Submission) error {
	if q.Body == nil || was.Body == "" {
		return nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, q.Body); err != nil {
		return fmt.Errorf("reading the file: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != was.Body {
		return ErrReused
	}
	return nil
}

// Resolve asks the platform for the job of a record that is open and that no process is sending,
// and returns the record as it is then.
func (s *Submitter) Resolve(ctx context.Context, r job.Submission) (job.Submission, error) {
	if !r.Open() || r.State == job.SubmissionPending && now().Before(r.Lease) {
		return r, nil
	}
	if !s.mayAsk(r.Source + "." + r.Name) {
		return r, nil
	}
	event, err := s.Platform.Find(ctx, r)
	switch {
	case err == nil && event != nil:
		if err := s.Platform.Record(ctx, *event); err != nil {
			return r, err
		}
		r.State, r.Job, r.Error = job.SubmissionSubmitted, event.Job.ID, ""
	case err == nil && (r.State == job.SubmissionPending && !r.Whole || r.State == job.SubmissionUnknown && s.settled(r)):
		r.State, r.Error = job.SubmissionFailed, "the platform has no job of this submission"
	case r.State == job.SubmissionPending && !r.Whole && errors.Is(err, ErrCannotFind):
		r.State, r.Error = job.SubmissionFailed, "the request ended before the whole file was read"
	case r.State == job.SubmissionUnknown:
		return r, nil // it is asked again later
	default:
		r.State, r.Error = job.SubmissionUnknown, "the process that sent it has died, and the platform may have made a job"
	}
	is, err := s.put(ctx, r)
	if err == nil && is.State == job.SubmissionUnknown {
		s.settled(is) // from now on
	}
	return is, err
}

// settled reports whether the platform has listed no job of a submission for long enough, by the
// clock of this process: that of another one, which wrote the record, may go wrong.
func (s *Submitter) settled(r job.Submission) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.none, func(_ string, at time.Time) bool { return time.Since(at) > time.Hour })
	if s.none == nil {
		s.none = map[string]time.Time{}
	}
	name := fmt.Sprint(r.Source, ".", r.Name, " ", r.Sequence)
	since, there := s.none[name]
	if !there {
		s.none[name] = time.Now()
		return false
	}
	return time.Since(since) > settleTime
}

// mayAsk reports whether it is time to ask the platform for a submission. To find one, the platform
// lists many jobs, and anybody who repeats a request has it asked.
func (s *Submitter) mayAsk(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.asked, func(_ string, at time.Time) bool { return time.Since(at) >= askPause })
	if _, soon := s.asked[name]; soon {
		return false
	}
	if s.asked == nil {
		s.asked = map[string]time.Time{}
	}
	s.asked[name] = now()
	return true
}

// put stores a changed record. If another process was faster, its record is returned, unless that
// says less: of a job that is known, or that may exist, it says that there is none.
func (s *Submitter) put(ctx context.Context, r job.Submission) (job.Submission, error) {
	r.Changed, r.Lease = now(), time.Time{}
	for {
		sequence, stored, err := s.Store.PutSubmission(ctx, r)
		if err != nil {
			return r, err
		}
		if stored {
			r.Sequence = sequence
			return r, nil
		}
		is, there, err := s.Store.SubmissionNamed(ctx, r.Source, r.Name)
		none := !there || is.State == job.SubmissionFailed
		more := r.Job != "" && is.Job == "" || r.State == job.SubmissionUnknown && none
		if err == nil && !there && !more {
			err = fmt.Errorf("the record of submission %s is gone", r.Name)
		}
		if err != nil || !more {
			return is, err
		}
		r.Sequence = is.Sequence // zero if it is gone
	}
}

// send sends a request whose record is pending. It goes on when the client has gone: then the body
// ends early, or only the answer is missing.
func (s *Submitter) send(ctx context.Context, q Request, r job.Submission) (job.Submission, error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	h := &holder{s: s, record: r}
	whole := func(sum string) error {
		return h.update(ctx, func(r *job.Submission) { r.Whole, r.Body = true, sum })
	}
	switch {
	case q.Body == nil:
		if err := whole(""); err != nil {
			return job.Submission{}, err
		}
	case q.Key == "": // nobody can repeat it
		q.Body = &digesting{from: q.Body, whole: whole}
	default:
		q.Body = &digesting{from: q.Body, sum: sha256.New(), whole: whole}
	}
	renewing, stop := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() { h.renew(renewing, cancel) })
	event, err := s.Platform.Submit(ctx, q, r.Name)
	stop()
	renewal.Wait()
	return s.ended(context.WithoutCancel(ctx), h.end(), event, err)
}

// ended stores what became of a request.
func (s *Submitter) ended(ctx context.Context, r job.Submission, event job.Event, failed error) (job.Submission, error) {
	switch {
	case failed == nil:
		r.State, r.Job = job.SubmissionSubmitted, event.Job.ID
		if err := s.Platform.Record(ctx, event); err != nil {
			r.State, r.Error = job.SubmissionUnknown, "job "+r.Job+" exists, but its submitted event is not stored: "+err.Error()
			r.Job = ""
		}
	case !r.Whole && errors.Is(failed, ErrMayExist) && !errors.Is(failed, ErrAnswered):
		// The file was not sent to its end. That there is no job is not taken for granted.
		r.Lease = time.Time{}
		is, err := s.Resolve(ctx, r)
		if err == nil && is.Begun.Equal(r.Begun) && (is.State == job.SubmissionSubmitted || is.State == job.SubmissionUnknown) {
			return is, nil
		}
		return is, failed
	case errors.Is(failed, ErrMayExist):
		r.State, r.Error = job.SubmissionUnknown, failed.Error()
	default:
		r.State, r.Error = job.SubmissionFailed, failed.Error()
	}
	is, err := s.put(ctx, r)
	switch {
	case r.State == job.SubmissionFailed:
		return is, failed
	case err != nil:
		return r, nil // it stays pending in the store until its lease ends; then the platform is asked
	}
	return is, nil
}
