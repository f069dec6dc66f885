package callback

import (
	"context"
	"sync"
	"time"

	"receiver/internal/job"
)

const (
	// RepeatPause is how long the repeats of a callback are counted before one record tells
	// of them.
	RepeatPause = time.Minute
	// RepeatBody is how long no second record keeps a large body that no event has.
	RepeatBody = 24 * time.Hour

	mostRepeats = 1024 // callbacks whose repeats are known
)

// repeats records the callbacks whose event exists already. A sender that has captured one can send
// it any number of times: the first repeat is recorded before it is answered, further ones within
// RepeatPause are counted, and one record reports them. A body of more than small bytes is in the
// first record only, or in the event.
type repeats struct {
	store Store
	small int
	mu    sync.Mutex
	known map[repeated]*repeat
	ring  []repeated // the keys of known, in the order in which they came
	next  int        // to be forgotten
}

// repeated tells callbacks apart.
type repeated struct{ source, verdict, sha256, event string }

type repeat struct {
	made    chan struct{} // closed when the record that is being made is there, or has failed
	at      time.Time     // of the last record; zero if none was made
	body    time.Time     // of the last one with a body
	counted int
	last    job.Attempt // of those counted
	timer   *time.Timer
}

func newRepeats(s Store, small int) *repeats {
	return &repeats{store: s, small: small, known: map[repeated]*repeat{}}
}

// record records a callback, or counts it.
func (r *repeats) record(ctx context.Context, a job.Attempt) error {
	key := repeated{a.Source, a.Verdict, a.SHA256, a.Event}
	for {
		r.mu.Lock()
		p := r.of(key)
		now := time.Now()
		switch {
		case p.made != nil:
			made := p.made
			r.mu.Unlock()
			select {
			case <-made:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		case now.Sub(p.at) < RepeatPause:
			p.count(a, RepeatPause-now.Sub(p.at), func() { r.tell(key) })
			r.mu.Unlock()
			return nil
		}
		p.made = make(chan struct{})
		if len(a.Body) > r.small && now.Sub(p.body) < RepeatBody {
			a.Body = nil
		}
		r.mu.Unlock()
		err := r.store.Record(ctx, a)
		r.mu.Lock()
		if err == nil {
			p.at = now
			if a.Body != nil {
				p.body = now
			}
		}
		close(p.made)
		p.made = nil
		r.mu.Unlock()
		return err
	}
}

// of returns what is known of a callback. It is called with mu held.
func (r *repeats) of(key repeated) *repeat {
	if p := r.known[key]; p != nil {
		return p
	}
	if len(r.ring) < mostRepeats {
		r.ring = append(r.ring, key)
	} else {
		old := r.ring[r.next]
		r.offer(r.known[old])
		delete(r.known, old)
		r.ring[r.next] = key
		r.next = (r.next + 1) % mostRepeats
	}
	p := &repeat{}
	r.known[key] = p
	return p
}

// count notes one more; of those counted the last is kept.
func (p *repeat) count(a job.Attempt, until time.Duration, tell func()) {
	a.Body = nil
	p.last = a
	if p.counted++; p.counted == 1 {
		p.timer = time.AfterFunc(until, tell)
	}
}

// tell records what was counted of a callback.
func (r *repeats) tell(key repeated) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.known[key]; p != nil {
		r.offer(p)
	}
}

// offer is called with mu held.
func (r *repeats) offer(p *repeat) {
	if p.counted == 0 {
		return
	}
	p.timer.Stop()
	p.last.Repeats = p.counted
	a := p.last
	r.store.Offer(func() job.Attempt { return a })
	p.at, p.counted, p.last, p.timer = time.Now(), 0, job.Attempt{}, nil
}

// Flush has everything recorded that was counted so far.
func (r *Receiver) Flush() {
	r.repeats.mu.Lock()
	defer r.repeats.mu.Unlock()
	for _, p := range r.repeats.known {
		r.repeats.offer(p)
	}
}
