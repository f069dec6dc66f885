package web

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// How refusals give way. Any sender can cause any number of them, and each goroutine that handles
// one is in the scheduler's queue before every step of an authentic callback, of which storing
// takes about ten. So while authentic callbacks come, unauthenticated requests are answered at a
// limited rate: a sender that waits for an answer sends nothing. While new events come, repeats are
// answered at that rate too.
const (
	paceTime = 10 * time.Second     // so long after an authentic callback
	paceRate = 2000                 // answers a second for each processor,
	paceSize = 16 << 10             // or so many bytes of their bodies as one more
	paceTick = 2 * time.Millisecond // answers go out together
	paceMost = 2 * time.Second      // and none waits longer,
	// nor an answer that the process lives, of which a second is what is waited for elsewhere.
	healthMost = 250 * time.Millisecond
)

// calls knows when an authentic callback came last.
type calls struct {
	began time.Time
	last  atomic.Int64 // a time since began; zero if there was none
}

func newCalls() *calls { return &calls{began: time.Now()} }

// now is the time since began: what is measured by it does not jump with the clock.
func (c *calls) now() time.Duration { return time.Since(c.began) }

// proved notes that a callback is authentic.
func (c *calls) proved() { c.last.Store(max(1, int64(c.now()))) }

// recent reports whether an authentic callback came in the last paceTime.
func (c *calls) recent() bool {
	last := c.last.Load()
	return last > 0 && c.now()-time.Duration(last) < paceTime
}

// pace spreads answers to what proved nothing.
type pace struct {
	calls *calls
	most  time.Duration // that an answer waits
	mu    sync.Mutex
	next  time.Duration // when the next answer is due, as calls.now
	late  time.Duration // that answers went out after they were due, lately
}

// wait returns when an answer to a request with so many bytes of body is due: at once unless
// authentic callbacks came lately and others are refused faster than at the rate. It goes on
// when the caller hangs up: else to hang up early would be the way to send faster.
func (p *pace) wait(size int) {
	if !p.calls.recent() {
		return
	}
	if until := p.due(size); until > 0 {
		due := p.calls.now() + until
		<-time.After(until)
		p.went(p.calls.now() - due)
	}
}

// went notes how late an answer is. Where the process does not get the processors that it
// wants, the rate is less, down to a sixteenth.
func (p *pace) went(late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late += (late - p.late) / 16
}

// due takes the next place and returns how long it is until then.
func (p *pace) due(size int) time.Duration {
	each := time.Second / time.Duration(paceRate*runtime.GOMAXPROCS(0))
	p.mu.Lock()
	defer p.mu.Unlock()
	each += each * min(p.late/paceTick, 15)
	now := p.calls.now()
	at := max(p.next, now-paceTick) // a few at once are no flood
	p.next = min(at+each*time.Duration(1+size/paceSize), now+p.most)
	if at <= now {
		return 0
	}
	return at.Truncate(paceTick) + paceTick - now
}
