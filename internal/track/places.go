package track

import (
	"sync"
	"time"
)

// places bounds how many questions are under way at once at each source.
type places struct {
	each int

	mu    sync.Mutex
	taken map[string]chan struct{} // by source
}

func (p *places) of(source string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken = map[string]chan struct{}{}
	}
	taken, ok := p.taken[source]
	if !ok {
		taken = make(chan struct{}, p.each)
		p.taken[source] = taken
	}
	return taken
}

// enter takes one of the source's places, if there is one.
func (p *places) enter(source string) bool {
	select {
	case p.of(source) <- struct{}{}:
		return true
	default:
		return false
	}
}

// await takes one of the source's places, in turn, and reports false if there was none for
// so long.
func (p *places) await(source string, most time.Duration) bool {
	if p.enter(source) {
		return true
	}
	over := time.NewTimer(most)
	defer over.Stop()
	select {
	case p.of(source) <- struct{}{}:
		return true
	case <-over.C:
		return false
	}
}

func (p *places) leave(source string) { <-p.of(source) }
