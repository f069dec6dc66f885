package submission

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"receiver/internal/job"
)

// errLost: another process has the submission.
var errLost = errors.New("another process has taken over the submission")

// holder keeps the record of a request that is being sent.
type holder struct {
	s      *Submitter
	mu     sync.Mutex
	record job.Submission
	tried  job.Submission // the last change that may not have been stored
	ended  bool
}

// errEnded: the platform has answered before the whole file was read.
var errEnded = errors.New("the request has ended")

// end returns the record, which the last Read of the file does not change any more.
func (h *holder) end() job.Submission {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	return h.record
}

// update stores a change of the record. The error is errLost if it belongs to another process.
func (h *holder) update(ctx context.Context, change func(*job.Submission)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errEnded
	}
	r := h.record
	change(&r)
	r.Changed, r.Lease = now(), now().Add(leaseTime)
	sequence, stored, err := h.s.Store.PutSubmission(ctx, r)
	if err == nil && !stored {
		sequence, err = h.again(ctx, r)
	}
	if err != nil {
		h.tried = r
		return err
	}
	r.Sequence = sequence
	h.record = r
	return nil
}

// again stores a change in place of an earlier one that was stored, although the store did not
// say so.
func (h *holder) again(ctx context.Context, r job.Submission) (uint64, error) {
	is, _, err := h.s.Store.SubmissionNamed(ctx, r.Source, r.Name)
	if err != nil {
		return 0, err
	}
	if !is.Begun.Equal(r.Begun) || !is.Changed.Equal(h.tried.Changed) && !is.Changed.Equal(r.Changed) {
		return 0, errLost
	}
	r.Sequence = is.Sequence
	sequence, stored, err := h.s.Store.PutSubmission(ctx, r)
	if err == nil && !stored {
		err = errLost
	}
	return sequence, err
}

// whole reports whether the whole file was read.
func (h *holder) whole() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record.Whole
}

// renew renews the lease until ctx is done, and cancels the sending if it is lost. When the whole
// file is sent, that would lose nothing but the answer.
func (h *holder) renew(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(renewTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := h.update(ctx, func(*job.Submission) {}); errors.Is(err, errLost) {
			if !h.whole() {
				cancel(errLost)
			}
			return
		}
	}
}

// digesting reads a file, and has it stored that the whole was read, with the digest, before it
// reports the end. As long as that is not stored, the request to the platform does not end, and
// makes no job.
type digesting struct {
	from  io.Reader
	sum   hash.Hash // nil without a digest
	whole func(sum string) error
	ended bool
}

// Read implements io.Reader.
func (d *digesting) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	if d.sum != nil {
		d.sum.Write(p[:n])
	}
	if err == io.EOF && !d.ended { // not one that is wrapped
		d.ended = true
		sum := ""
		if d.sum != nil {
			sum = hex.EncodeToString(d.sum.Sum(nil))
		}
		if failed := d.whole(sum); failed != nil {
			return n, fmt.Errorf("recording the submission: %w", failed)
		}
	}
	return n, err
}
