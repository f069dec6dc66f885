package callback

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"receiver/internal/verify"
)

// Spacing returns the pauses that the platform makes before it sends a callback again
// that was not answered 2xx. After the last it gives the callback up and may stop
// calling.
//
// OC: (a) row 28, section 6.4: 8^n s. It is documented for event notifications; an older
// page has nine of 4^n s, of which the last ends 73 h after the first.
func Spacing() []time.Duration { return slices.Clone(spacing[:]) }

var spacing = [...]time.Duration{8 * time.Second, 64 * time.Second, 512 * time.Second, 4096 * time.Second, 32768 * time.Second}

// TriesPatience reports whether the platform itself may stand behind a callback that was
// refused for this reason: a known source and a well-formed signature. Only of Mismatch
// that is a guess, since anybody can make one; the others had a right signature.
func TriesPatience(reason string) bool {
	switch reason {
	case string(verify.Mismatch), BadCredentials, MissingToken, MismatchToken:
		return true
	}
	return false
}

// Patience keeps account of how much of the platform's patience is used up, by source:
// which of its callbacks we did not answer 2xx, and when it should send them again. It
// knows what it was told: another replica, or this one before a restart, may have
// refused more.
//
// It reads no clock and stores nothing. It is safe for concurrent use. Its callers must
// not name sources that are not configured: each takes room for ever. What is not counted is
// Ignored, so that nobody can tell by the time of an answer which sources there are.
type Patience struct {
	seed    maphash.Seed
	mu      sync.Mutex
	sources map[string]*account
	decoy   account // of what is ignored
	traces  traces
}

type account struct {
	Standing
	failing
}

// Standing is how a source stands with the platform at one moment.
type Standing struct {
	// InARow counts the answers other than 2xx since the last 2xx.
	InARow int `json:"inARow"`
	// Reason is why the last of them was given: a reason of refusal, "unavailable", or
	// the text of an HTTP status. It stays when InARow falls to zero.
	Reason string `json:"reason,omitempty"`
	// Accepted and Refused are the times of the last 2xx and of the last other answer.
	Accepted time.Time `json:"lastAccepted,omitzero"`
	Refused  time.Time `json:"lastRefused,omitzero"`
	// Failing is how many deliveries are expected to come again, and NextRetry when the
	// first of them is; zero if none is.
	Failing   int       `json:"failing"`
	NextRetry time.Time `json:"nextRetry,omitzero"`
	// AttemptsLeft is how often the delivery that is nearest to its end is still
	// repeated: len(Spacing()) if none fails, 0 if the platform has given one up and
	// nothing was answered 2xx since.
	AttemptsLeft int `json:"attemptsLeft"`
	// GivenUp is how many deliveries the platform has given up: they wait in its queue.
	GivenUp int `json:"givenUp"`
}

// NewPatience returns an account without entries.
func NewPatience() *Patience {
	return &Patience{seed: maphash.MakeSeed(), sources: map[string]*account{}}
}

func (p *Patience) account(source string) *account {
	a := p.sources[source]
	if a == nil {
		a = &account{}
		p.sources[source] = a
	}
	return a
}

// Answered notes that a callback was answered 2xx. Delivery is its body, or anything
// else that is the same whenever the platform sends it.
func (p *Patience) Answered(source string, delivery []byte, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.account(source)
	a.InARow, a.Accepted = 0, at
	if a.count > 0 || len(a.givenUp) > 0 {
		a.forget(p.id(source, delivery))
	}
}

// Failed notes that a callback was answered other than 2xx. Delivery is as for Answered;
// empty if the body was not read, and then nothing is known of its retries. It is an attempt
// of the platform's if it comes about when that should send it again; one that comes earlier
// is somebody else's and changes nothing.
func (p *Patience) Failed(source string, delivery []byte, reason string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed(p.account(source), source, delivery, reason, at)
}

// Ignored does the work of Failed for what is not counted: the platform does not send it, or
// its source is not configured.
func (p *Patience) Ignored(source string, delivery []byte, reason string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.sources[source]
	p.failed(&p.decoy, source, delivery, reason, at)
}

func (p *Patience) failed(a *account, source string, delivery []byte, reason string, at time.Time) {
	a.InARow++
	a.Reason, a.Refused = reason, at
	if len(delivery) > 0 {
		a.fail(p.id(source, delivery), at, &p.traces)
	}
}

// mostHashed bounds what is looked at of each end of a delivery. A refusal at a source that
// there is would else take longer than at one that there is not, by what it takes to hash a
// large body once more.
const mostHashed = 2 << 10

// id tells deliveries apart, large ones by their length and their ends.
func (p *Patience) id(source string, delivery []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(p.seed)
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(delivery)))
	_, _ = h.Write(length[:])
	_, _ = h.WriteString(source)
	if len(delivery) <= 2*mostHashed {
		_, _ = h.Write(delivery)
		return h.Sum64()
	}
	_, _ = h.Write(delivery[:mostHashed])
	_, _ = h.Write(delivery[len(delivery)-mostHashed:])
	return h.Sum64()
}

// Standing returns how a source stands at a moment.
func (p *Patience) Standing(source string, now time.Time) Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.sources[source]
	if a == nil {
		return Standing{AttemptsLeft: len(spacing)}
	}
	s := a.Standing
	s.AttemptsLeft = len(spacing)
	for i := range a.awaited {
		f := &a.awaited[i]
		switch {
		case f.attempts == 0:
			continue
		case !f.isAwaited(now):
			a.free(f) // whoever sent it does not keep to the spacing
			continue
		}
		s.Failing++
		if next, _, _ := f.next(); s.NextRetry.IsZero() || next.Before(s.NextRetry) {
			s.NextRetry = next
		}
		s.AttemptsLeft = min(s.AttemptsLeft, len(spacing)+1-f.attempts)
	}
	for id, since := range a.givenUp {
		if now.After(since.Add(GivenUpKept)) {
			delete(a.givenUp, id)
			continue
		}
		s.GivenUp++
		if !since.Before(s.Accepted) { // else it goes on calling all the same
			s.AttemptsLeft = 0
		}
	}
	return s
}

// Knows reports whether there is a source of this name.
func (r *Receiver) Knows(source string) bool {
	_, ok := (*r.sources.Load())[source]
	return ok
}

// Sources returns the sources in force, by name. They hold credentials.
func (r *Receiver) Sources() []Source {
	sources := *r.sources.Load()
	all := make([]Source, 0, len(sources))
	for _, s := range sources {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Source) int { return strings.Compare(a.Name, b.Name) })
	return all
}
