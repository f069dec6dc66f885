//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"receiver/internal/cluster"
)

// TestReliabilityCluster has two receivers on three NATS servers, and callbacks all the
// time, each repeated until it is answered 200, while servers are killed, frozen, taken
// away and restarted. Every job has its one event then.
func TestReliabilityCluster(t *testing.T) {
	c := startCluster(t, cluster.Options{})
	const quick = "limits:\n  publish_timeout: 1s\n"
	l := &callers{t: t, jobs: map[string]bool{}, answered: make(chan struct{})}
	for range 2 {
		l.to = append(l.to, newCaller(c.receiver(t, quick).public))
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS"} {
		c.copied(stream)
	}
	stop := l.start(t.Context())
	defer stop()
	l.recovered()

	faults := []struct {
		name string
		do   func() (over time.Time)
	}{
		{"`kill -9` of the leader of JOBS", func() time.Time {
			leader := c.leader("JOBS")
			began := time.Now()
			leader.kill9()
			l.recovered()
			leader.start()
			return began
		}},
		{"the leader of JOBS frozen (SIGSTOP)", func() time.Time {
			leader := c.leader("JOBS")
			began := time.Now()
			leader.pause()
			l.recovered()
			leader.cont()
			return began
		}},
		{"two of three servers down, recovery from when one is back", func() time.Time {
			down := c.others(c.leader("JOBS"))
			for _, n := range down {
				n.kill9()
			}
			l.refused() // nothing is acknowledged by a minority
			began := time.Now()
			for _, n := range down {
				n.start()
			}
			return began
		}},
		{"rolling restart, one server after the other", func() time.Time {
			for _, n := range c.nodes {
				n.stop()
				n.start()
				c.ready()
				c.copied("JOBS")
			}
			return time.Now()
		}},
	}
	for _, f := range faults {
		before := l.count()
		over := f.do()
		took := l.recovered().Sub(over)
		c.ready()
		c.copied("JOBS")
		after := l.count()
		t.Logf("%s: %d acknowledged, %d not, and repeated; again after %.1f s at most", f.name,
			after.acknowledged-before.acknowledged, after.refused-before.refused, took.Seconds())
	}
	stop()
	c.copied("JOBS")
	eachOnce(t, c.finished(), l.jobs)
	t.Logf("%d jobs, each acknowledged and stored once", len(l.jobs))
}

// callers call back for one job after the other, as the platform does: what is not
// answered 200 is sent again.
type callers struct {
	t  *testing.T
	to []caller

	mu       sync.Mutex
	jobs     map[string]bool // those acknowledged
	n        counts
	answered chan struct{} // closed and replaced by every answer
}

// counts are answers since the beginning.
type counts struct{ acknowledged, refused int }

// start calls until stop is called, which waits for what is under way to be acknowledged.
func (l *callers) start(ctx context.Context) (stop func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	for side := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
					l.until(ctx, l.to[side%len(l.to)], fmt.Sprintf("%d-%d", side, i))
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(end)
		wg.Wait()
	})
}

// until calls back for one job until that is acknowledged.
func (l *callers) until(ctx context.Context, c caller, id string) {
	for {
		_, ok, err := c.finished(ctx, id)
		l.note(id, ok)
		pause := 10 * time.Millisecond
		if !ok {
			pause = 100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			l.t.Errorf("job %s was never acknowledged: %v", id, err)
			return
		}
		if ok {
			return
		}
	}
}

func (l *callers) note(id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok {
		l.jobs[id] = true
		l.n.acknowledged++
	} else {
		l.n.refused++
	}
	close(l.answered)
	l.answered = make(chan struct{})
}

func (l *callers) count() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// recovered waits until every side may have been answered 200 again, and returns the time.
func (l *callers) recovered() time.Time {
	l.t.Helper()
	l.await("callbacks are acknowledged", func(from, now counts) bool { return now.acknowledged >= from.acknowledged+8 })
	return time.Now()
}

// refused waits until callbacks are refused one after the other.
func (l *callers) refused() {
	l.t.Helper()
	l.await("callbacks are refused", func(from, now counts) bool { return now.refused >= from.refused+8 })
}

func (l *callers) await(what string, done func(from, now counts) bool) {
	l.t.Helper()
	timeout := time.NewTimer(longTimeout)
	defer timeout.Stop()
	from := l.count()
	for {
		l.mu.Lock()
		now, answered := l.n, l.answered
		l.mu.Unlock()
		if done(from, now) {
			return
		}
		select {
		case <-answered:
		case <-timeout.C:
			l.t.Fatalf("waited %v in vain until %s: %+v, then %+v", longTimeout, what, from, now)
		}
	}
}
