package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/submit"
)

// csvType is the media type of a file that is the body of a request, whatever its form.
const csvType = "text/csv"

// Upload is a file to be submitted.
type Upload struct {
	Source, Object, FileName, Path, Metadata, Payload string
	// Key is the Idempotency-Key: a repeat with the same key gets the same job.
	Key string
	// File is the file, Size its length in bytes, -1 if that is not known. Again returns it once
	// more from its beginning; nil if it cannot be read again.
	File  io.Reader
	Size  int64
	Again func() (io.Reader, error)
	// Progress gets how many bytes have been sent, and Failed each error after which Submit tries
	// again.
	Progress func(sent int64)
	Failed   func(err error, pause time.Duration)
}

// ErrMayExist is in the chain of errors after which there may be a job.
var ErrMayExist = errors.New("the job may exist")

// How often, and after which pauses, a submission is tried again: for about five minutes.
const (
	tries              = 15
	minPause, maxPause = time.Second, 30 * time.Second
	busyPause          = 5 * time.Second
)

// Submit submits a file. As long as the receiver cannot be reached, is busy or not ready, it tries
// again under the same key, so that there is one job at most. With an error that is not ErrMayExist
// there is none.
func (r *Receiver) Submit(ctx context.Context, u Upload) (job.Submission, error) {
	mayExist := false
	for try := 1; ; try++ {
		made, sent, err := r.send(ctx, u)
		if err == nil {
			return made, nil
		}
		mayExist = left(err, mayExist)
		wait, again := repeatable(err, try)
		if again = again && ctx.Err() == nil && try < tries && (!sent || u.Again != nil); again {
			u.Failed(err, wait)
			again = pause(ctx, wait) == nil
		}
		if again && sent {
			if u.File, err = u.Again(); err != nil {
				again = false
			}
		}
		if !again {
			return made, lost(err, mayExist, u)
		}
	}
}

// lost says what became of a submission that was not answered.
func lost(err error, mayExist bool, u Upload) error {
	if !mayExist {
		return err
	}
	return fmt.Errorf("%w: %w; to find out, repeat the command with --key %s: with that key there is one job at most", ErrMayExist, err, u.Key)
}

// repeatable reports whether a request that failed may succeed later, and after which pause.
func repeatable(err error, try int) (time.Duration, bool) {
	wait := min(minPause<<min(try-1, 10), maxPause)
	wait += rand.N(wait / 4) //nolint:gosec // the pauses of many clients differ; nobody gains by guessing them
	var p *api.Problem
	var status *client.StatusError
	var syntax *json.SyntaxError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &p):
		if api.Busy.Is(p) { // it has begun, and ends
			wait = min(wait, busyPause)
		}
		for _, kind := range []api.ProblemKind{api.Busy, api.TooManyRequests, api.Unavailable, api.PlatformFailed} {
			if kind.Is(p) {
				return max(wait, time.Duration(p.RetryAfter)*time.Second), true
			}
		}
		return 0, false
	case errors.As(err, &status): // of something between
		return wait, status.Code == http.StatusBadGateway || status.Code == http.StatusServiceUnavailable || status.Code == http.StatusGatewayTimeout
	case errors.As(err, &untrusted), errors.As(err, &syntax), errors.Is(err, errFile):
		return 0, false
	}
	return wait, true // the connection was lost, or the answer broken off
}

// left reports whether there may be a job after a request that failed; before says whether there
// might have been one before it.
func left(err error, before bool) bool {
	var p *api.Problem
	var dial *net.OpError
	switch {
	case errors.As(err, &p) && (api.PlatformRefused.Is(p) || api.PlatformFailed.Is(p)):
		return false // under the same key: what came before made none, either
	case errors.As(err, &p):
		return before || api.Busy.Is(p) || api.Unavailable.Is(p)
	case errors.Is(err, errFile), errors.As(err, &dial) && dial.Op == "dial":
		return before
	}
	return true
}

// errFile is in the chain of errors of reading the file.
var errFile = errors.New("reading the file")

// send sends a file once, and reports whether anything of it was read.
func (r *Receiver) send(ctx context.Context, u Upload) (made job.Submission, read bool, err error) {
	body := &counted{from: u.File, told: u.Progress}
	p := &api.SubmitJobParams{
		Object: u.Object, FileName: u.FileName, Path: u.Path, Metadata: u.Metadata, CallbackPayload: u.Payload, IdempotencyKey: u.Key,
	}
	made, err = client.Answer[job.Submission](r.c.SubmitJobWithBody(ctx, u.Source, p, csvType, body, func(_ context.Context, request *http.Request) error {
		request.ContentLength = u.Size
		if u.Size == 0 {
			request.Body = http.NoBody
		}
		// So that a receiver that refuses the request is heard before the file is sent.
		request.Header.Set("Expect", "100-continue")
		return nil
	}))
	return made, body.end(), told(err)
}

// counted is a file that tells how much of it was read.
type counted struct {
	from io.Reader
	told func(int64)
	sent int64

	mu           sync.Mutex
	begun, ended bool
}

// end reports whether anything was read, and keeps the file from being read on: the request may
// not have noticed yet that it has ended.
func (c *counted) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.begun
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	c.mu.Lock()
	ended := c.ended
	c.begun = c.begun || !ended
	c.mu.Unlock()
	if ended {
		return 0, io.ErrClosedPipe
	}
	n, err := c.from.Read(p)
	if c.sent += int64(n); n > 0 {
		c.told(c.sent)
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", errFile, err)
	}
	return n, err
}

// Clear waits until it is clear what became of a submission. Failed hears the error of a question
// that is repeated.
func (r *Receiver) Clear(ctx context.Context, of job.Submission, failed func(error)) (job.Submission, error) {
	for of.Open() {
		if err := pause(ctx, submit.PollEvery); err != nil {
			return of, err
		}
		is, err := answer[job.Submission](ctx, func(ctx context.Context) (*http.Response, error) {
			return r.c.GetSubmission(ctx, of.Source, of.Name)
		})
		switch {
		case errors.Is(err, ErrUse):
			return of, err
		case err != nil && ctx.Err() == nil:
			failed(err)
		case err == nil:
			of = is
		}
	}
	return of, nil
}

// End waits for the end of a job, and returns how it was; for one that is overdue only with late.
// Failed hears the error of a question that is repeated. The receiver polls the platform where no
// callback comes.
func (r *Receiver) End(ctx context.Context, source, id string, late bool, failed func(error)) (submit.End, error) {
	var end submit.End
	for {
		asked := time.Now()
		j, err := r.Job(ctx, source, id, pollTime)
		if err == nil {
			if j.State == joblist.Lost || j.State == joblist.Overdue && !late {
				return end, fmt.Errorf("the job is %s", j.State)
			}
			if end, err = r.end(ctx, j); err == nil && end.Job.Over() && end.Job.Result != job.Undecided {
				return end, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return end, context.Cause(ctx)
		case errors.Is(err, ErrUse):
			return end, err
		case err != nil:
			failed(err)
		}
		if err != nil || time.Since(asked) < submit.PollEvery {
			if err := pause(ctx, submit.PollEvery); err != nil {
				return end, err
			}
		}
	}
}

// end returns how a job ended: as its finished event says or, where that is unclear, the platform.
func (r *Receiver) end(ctx context.Context, j joblist.Job) (end submit.End, err error) {
	if !j.Ended() {
		return end, nil
	}
	end.Called = true
	events, err := r.Events(ctx, j.Source, j.View.ID)
	if err != nil {
		return end, err
	}
	for _, e := range events {
		if e.Kind == job.Finished && e.Job.Result != job.Undecided {
			end.Job = e.Job
			end.Event = &job.Stored{Event: job.Event{Kind: e.Kind, Source: e.Source, Job: e.Job, Time: e.Time, Evidence: e.Evidence}, Sequence: e.Sequence}
			return end, nil
		}
	}
	s, err := r.Status(ctx, j.Source, j.View.ID)
	end.Job = job.View{
		ID: s.ID, Status: s.Status, Result: s.Result, Object: s.Object, Direction: s.Direction, Records: s.Records, Failed: s.Failed, Warned: s.Warned,
		Error: s.Error, Message: s.Message, FileFormat: s.FileFormat, Instance: s.InstanceID, VendorJob: s.VendorJobID,
	}
	return end, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
