package evidence

import (
	"context"
	"fmt"
	"sync"
	"time"

	"receiver/api"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
	"receiver/internal/words"
)

// The states of a verification.
const (
	never   = "never"
	running = "running"
	done    = "done"
	failed  = "failed"
)

const (
	// verifyTime bounds a verification.
	verifyTime = 10 * time.Minute
	// mostCheckpoints is how many checkpoints a verification holds at most. Each takes about a
	// kilobyte of the memory that callbacks need.
	mostCheckpoints = 100_000
	// mostFaults is how many faults of one log are kept.
	mostFaults = 100
)

// checks is the verification that runs, or ran last.
type checks struct {
	mu  sync.Mutex
	now api.Verification
	end chan struct{} // of the one that runs; nil if none does
}

// state returns what is known now.
func (c *checks) state() api.Verification {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Checked is what the last check of the logs found, which may still run again.
func (a *API) Checked() api.Verification { return a.checks.state() }

// set changes what is known.
func (c *checks) set(change func(*api.Verification)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.now)
}

// Verify implements apiserver.SealedLogs. The result of one that fails does not take the place of
// the last that ended.
func (a *API) Verify(ctx context.Context, wait time.Duration) (api.Verification, error) {
	if a.o.Config.Audit.Key.Empty() {
		return api.Verification{}, api.NotConfigured.Problem("nothing is sealed without audit.key; run receiver audit init")
	}
	end := a.begin()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-end:
	case <-timer.C:
	case <-ctx.Done():
	}
	return a.checks.state(), nil
}

// begin begins a verification unless one runs, and returns what is closed at its end.
func (a *API) begin() <-chan struct{} {
	c := &a.checks
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return c.end
	}
	end := make(chan struct{})
	c.end = end
	c.now.State, c.now.Began, c.now.Error, c.now.Progress = running, time.Now().UTC(), "", api.VerificationProgress{}
	ctx, cancel := context.WithTimeout(a.o.Ending, verifyTime)
	go func() {
		defer cancel()
		found, err := a.verify(ctx)
		c.set(func(v *api.Verification) {
			v.Progress, v.Ended = api.VerificationProgress{}, time.Now().UTC()
			if v.State = done; err != nil {
				v.State, v.Error = failed, err.Error()
			} else {
				*v = shown(*v, found, v.Ended)
			}
			c.end = nil
		})
		close(end)
	}()
	return end
}

// verify does what `receiver audit verify` does.
func (a *API) verify(ctx context.Context) (records.Verified, error) {
	extent, err := a.o.Bus.Extent(ctx, conn.CheckpointsStream)
	if err != nil {
		return records.Verified{}, err
	}
	if extent.Messages > mostCheckpoints {
		return records.Verified{}, fmt.Errorf("%s are too many to verify within the receiver; run receiver audit verify", words.Count(extent.Messages, "checkpoint"))
	}
	sources, err := a.o.Sources()
	if err != nil {
		return records.Verified{}, err
	}
	return records.VerifyStore(ctx, records.Store{Bus: a.o.Bus, Live: true}, records.VerifyOptions{
		Config: a.o.Config, Sources: sources, Progress: a.progress,
	})
}

// progress is a records.Progress.
func (a *API) progress(what string) (show func(done, total int64), finish func()) {
	return func(done, total int64) {
		a.checks.set(func(v *api.Verification) { v.Progress = api.VerificationProgress{Log: what, Done: done, Total: total} })
	}, func() {}
}
