package poll

import (
	"sync"
	"time"
)

// semaphores limit how many questions are under way at once, one semaphore for each source.
type semaphores struct {
	limit int

	mu    sync.Mutex
	taken map[string]chan struct{} // by source
}

func (s *semaphores) of(source string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = map[string]chan struct{}{}
	}
	taken, ok := s.taken[source]
	if !ok {
		taken = make(chan struct{}, s.limit)
		s.taken[source] = taken
	}
	return taken
}

// tryAcquire takes a place of the source's semaphore, if one is free.
func (s *semaphores) tryAcquire(source string) bool {
	select {
	case s.of(source) <- struct{}{}:
		return true
	default:
		return false
	}
}

// acquire takes a place of the source's semaphore, in turn, and reports false if none was
// free for so long.
func (s *semaphores) acquire(source string, most time.Duration) bool {
	if s.tryAcquire(source) {
		return true
	}
	over := time.NewTimer(most)
	defer over.Stop()
	select {
	case s.of(source) <- struct{}{}:
		return true
	case <-over.C:
		return false
	}
}

func (s *semaphores) release(source string) { <-s.of(source) }
