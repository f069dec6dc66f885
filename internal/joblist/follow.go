package joblist

import (
	"context"
	"iter"
	"sync"
)

// follower gathers which jobs have changed since it was asked last. A job that changes
// many times meanwhile is in it once, so it never holds more than there are jobs.
type follower struct {
	mu      sync.Mutex
	pending map[uint32]struct{}
	order   []uint32
	wake    chan struct{} // of room for one
}

func (f *follower) changed(position uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.pending[position]; there {
		return
	}
	f.pending[position] = struct{}{}
	f.order = append(f.order, position)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *follower) take() []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.order
	f.order = nil
	clear(f.pending)
	return taken
}

// Follow gives the jobs that a query asks for as they change, from the call of Follow
// on, until ctx is done. Between two looks a job may change more than once; what it is
// then is given. Order, limit and cursor of the query do not matter. Its error is
// ErrQuery.
func (p *Projection) Follow(ctx context.Context, q Query) (iter.Seq[Listed], error) {
	q.Sort = ByTime
	p.mu.Lock()
	if _, err := p.matcher(q); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	f := &follower{pending: map[uint32]struct{}{}, wake: make(chan struct{}, 1)}
	p.watch[f] = struct{}{}
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { p.forget(f) })
	return func(yield func(Listed) bool) {
		defer stop()
		defer p.forget(f)
		for {
			select {
			case <-ctx.Done():
				return
			case <-f.wake:
			}
			for _, j := range p.those(q, f.take()) {
				if !yield(j) {
					return
				}
			}
		}
	}, nil
}

func (p *Projection) forget(f *follower) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watch, f)
}

// those returns those of the jobs at the positions that a query asks for.
func (p *Projection) those(q Query, positions []uint32) []Listed {
	p.mu.RLock()
	defer p.mu.RUnlock()
	// Words may have come since the last look.
	match, err := p.matcher(q)
	if err != nil {
		return nil
	}
	var jobs []Listed
	for _, position := range positions {
		if int(position) < p.front {
			continue // left out meanwhile
		}
		if r := p.at(int(position)); match(r) {
			jobs = append(jobs, p.listed(r))
		}
	}
	return jobs
}
