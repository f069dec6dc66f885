package simulator

import (
	"context"
	"sync"
	"time"
)

// life is the time between New and Close: it starts goroutines, ends them and waits for them. The
// context it holds is the platform's own, no request's: jobs and retries outlive the request that
// made them.
type life struct {
	ctx  context.Context
	stop context.CancelFunc
	mu   sync.Mutex // keeps start and end apart, as a WaitGroup wants it
	wg   sync.WaitGroup
}

func newLife() *life {
	ctx, stop := context.WithCancel(context.Background())
	return &life{ctx: ctx, stop: stop}
}

// start runs f in its own goroutine, or not at all after end.
func (l *life) start(f func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over() {
		return
	}
	l.wg.Go(func() { f(l.ctx) })
}

func (l *life) over() bool { return l.ctx.Err() != nil }

func (l *life) end() {
	l.mu.Lock()
	l.stop()
	l.mu.Unlock()
	l.wg.Wait()
}

// sleep reports whether the whole of d went by.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
