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
func Spacing() []time.Duration {
	return []time.Duration{8 * time.Second, 64 * time.Second, 512 * time.Second, 4096 * time.Second, 32768 * time.Second}
}

// MaxFailing is how many failing deliveries of one source are told apart.
const MaxFailing = 256

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
// not name sources that are not configured: each takes room for ever.
type Patience struct {
	seed    maphash.Seed
	mu      sync.Mutex
	sources map[string]*account
}

type account struct {
	Standing
	failing map[uint64]failure // by the hash of the body
}

// failure is a delivery that was answered other than 2xx each time.
type failure struct {
	attempts int
	last     time.Time
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
		a = &account{failing: map[uint64]failure{}}
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
	if len(a.failing) > 0 {
		delete(a.failing, p.id(delivery))
	}
}

// Failed notes that a callback was answered other than 2xx. Delivery is as for Answered;
// empty if the body was not read, and then nothing is known of its retries.
func (p *Patience) Failed(source string, delivery []byte, reason string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.account(source)
	a.InARow++
	a.Reason, a.Refused = reason, at
	if len(delivery) == 0 {
		return
	}
	id := p.id(delivery)
	f, known := a.failing[id]
	if f.givenUp() {
		f.attempts = 0 // released from the queue, it has all its attempts again
	}
	if !known && len(a.failing) >= MaxFailing && !a.makeRoom(at) {
		return
	}
	a.failing[id] = failure{attempts: f.attempts + 1, last: at}
}

// mostHashed bounds what is looked at of each end of a delivery. A refusal at a source that
// there is would else take longer than at one that there is not, by what it takes to hash a
// large body once more.
const mostHashed = 2 << 10

// id tells deliveries apart, large ones by their length and their ends.
func (p *Patience) id(delivery []byte) uint64 {
	if len(delivery) <= 2*mostHashed {
		return maphash.Bytes(p.seed, delivery)
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(delivery)))
	_, _ = h.Write(length[:])
	_, _ = h.Write(delivery[:mostHashed])
	_, _ = h.Write(delivery[len(delivery)-mostHashed:])
	return h.Sum64()
}

// makeRoom forgets a delivery that is not awaited any more, or came once only, as those
// of forgers do.
func (a *account) makeRoom(now time.Time) bool {
	for id, f := range a.failing {
		if _, overdue := f.next(); f.attempts == 1 || !f.givenUp() && now.After(overdue) {
			delete(a.failing, id)
			return true
		}
	}
	return false
}

// Standing returns how a source stands at a moment.
func (p *Patience) Standing(source string, now time.Time) Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	most := len(Spacing())
	a := p.sources[source]
	if a == nil {
		return Standing{AttemptsLeft: most}
	}
	s := a.Standing
	s.AttemptsLeft = most
	for id, f := range a.failing {
		next, overdue := f.next()
		switch {
		case f.givenUp():
			s.GivenUp++
			if f.last.Before(s.Accepted) {
				continue // it goes on calling all the same
			}
		case now.After(overdue):
			delete(a.failing, id) // whoever sent it does not keep to the spacing
			continue
		default:
			s.Failing++
			if s.NextRetry.IsZero() || next.Before(s.NextRetry) {
				s.NextRetry = next
			}
		}
		s.AttemptsLeft = min(s.AttemptsLeft, most+1-f.attempts)
	}
	return s
}

func (f failure) givenUp() bool { return f.attempts > len(Spacing()) }

// next returns when the delivery should come again, and when it is no longer awaited.
func (f failure) next() (at, overdue time.Time) {
	if f.givenUp() {
		return time.Time{}, time.Time{}
	}
	pause := Spacing()[f.attempts-1]
	at = f.last.Add(pause)
	return at, at.Add(max(pause, time.Minute))
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
