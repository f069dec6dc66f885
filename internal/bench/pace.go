package bench

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// pace says when what is sent.
type pace interface {
	// next waits until a request is to be sent and returns its number; false when there is
	// none any more. Due is when it should have been sent if nobody was free to, else zero.
	next(ctx context.Context) (n uint64, due time.Time, ok bool)
	// behind returns how many had fallen due by a moment and were not given out.
	behind(at time.Time) uint64
}

// closedLoop gives out a request as soon as a caller requests one.
type closedLoop struct {
	first, most uint64
	end         time.Time
	given       atomic.Uint64
}

func (c *closedLoop) next(ctx context.Context) (uint64, time.Time, bool) {
	n := c.given.Add(1) - 1
	return c.first + n, time.Time{}, n < c.most && time.Now().Before(c.end) && ctx.Err() == nil
}

func (*closedLoop) behind(time.Time) uint64 { return 0 }

// openLoop gives out requests by the clock.
type openLoop struct {
	begin, end time.Time
	rate       float64
	given      atomic.Uint64
}

func (o *openLoop) next(ctx context.Context) (uint64, time.Time, bool) {
	n := o.given.Add(1) - 1
	due := o.begin.Add(time.Duration(float64(n) / o.rate * float64(time.Second)))
	if !due.Before(o.end) || !time.Now().Before(o.end) || ctx.Err() != nil {
		o.given.Add(^uint64(0)) // nobody sends it
		return 0, time.Time{}, false
	}
	wait := time.Until(due)
	if wait <= 0 {
		return n, due, true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		// The connection was free when the request fell due. That the timer wakes us late,
		// by up to a millisecond, is not the receiver's doing.
		return n, time.Time{}, true
	case <-ctx.Done():
		o.given.Add(^uint64(0))
		return 0, time.Time{}, false
	}
}

func (o *openLoop) behind(at time.Time) uint64 {
	if at.After(o.end) {
		at = o.end
	}
	due := uint64(math.Ceil(max(0, at.Sub(o.begin).Seconds()) * o.rate))
	return due - min(due, o.given.Load())
}
