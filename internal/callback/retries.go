package callback

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
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

// MayBePlatform reports whether the platform may have sent a callback that was refused for this
// reason. Its source is known and its signature well-formed. With Mismatch that is a guess, since
// anybody can make such a signature; with the other reasons the signature was right.
func MayBePlatform(reason string) bool {
	switch reason {
	case string(verify.Mismatch), BadCredentials, MissingToken, MismatchToken:
		return true
	}
	return false
}

// RetryState counts the retries that the platform has left, by source: which of its callbacks
// were not answered 2xx, and when it should send them again. It covers the answers of this
// process only: another replica, or this one before a restart, may have refused more.
//
// RetryState reads no clock and stores nothing. It is safe for concurrent use. Callers must not
// pass sources that are not configured, since each takes memory for ever. They call Ignored for
// callbacks that do not count, so that the time of an answer does not tell which sources exist.
type RetryState struct {
	seed    maphash.Seed
	mu      sync.Mutex
	sources map[string]*account
	decoy   account // counts for Ignored
	traces  traces
}

type account struct {
	Standing
	failing
}

// Standing is the state of a source's deliveries at one moment.
type Standing struct {
	// InARow counts the answers other than 2xx since the last 2xx.
	InARow int `json:"in_a_row"`
	// Reason is the reason of the last of them: a reason of refusal, "unavailable", or the
	// text of an HTTP status. It stays when InARow falls to zero.
	Reason string `json:"reason,omitempty"`
	// Accepted and Refused are the times of the last 2xx and of the last other answer.
	Accepted time.Time `json:"last_accepted,omitzero"`
	Refused  time.Time `json:"last_refused,omitzero"`
	// Failing is the number of deliveries that should come again, and NextRetry the time at
	// which the first of them should; zero if there is none.
	Failing   int       `json:"failing"`
	NextRetry time.Time `json:"next_retry,omitzero"`
	// AttemptsLeft is the number of retries left of the delivery that has the fewest:
	// len(Spacing()) if none fails, 0 if the platform has given one up and nothing was
	// answered 2xx since.
	AttemptsLeft int `json:"attempts_left"`
	// GivenUp is the number of deliveries that the platform has given up: they wait in its
	// queue.
	GivenUp int `json:"given_up"`
}

// NewRetryState returns a state in which no callback has come.
func NewRetryState() *RetryState {
	return &RetryState{seed: maphash.MakeSeed(), sources: map[string]*account{}}
}

func (r *RetryState) account(source string) *account {
	a := r.sources[source]
	if a == nil {
		a = &account{}
		r.sources[source] = a
	}
	return a
}

// Answered records that a callback was answered 2xx. Delivery is its body, or anything else that
// is the same each time the platform sends it.
func (r *RetryState) Answered(source string, delivery []byte, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.account(source)
	a.InARow, a.Accepted = 0, at
	if a.hasFailed {
		a.forget(r.id(source, delivery))
	}
}

// Failed records that a callback was not answered 2xx. Delivery is as for Answered; it is empty if
// the body was not read, and then the callback's retries are not tracked. The callback counts as
// the platform's if it comes at about the time of the next retry. One that comes earlier is
// somebody else's and changes nothing.
func (r *RetryState) Failed(source string, delivery []byte, reason string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed(r.account(source), source, delivery, reason, at)
}

// Ignored does the work of Failed for a callback that does not count: the platform does not send
// such a one, or its source is not configured.
func (r *RetryState) Ignored(source string, delivery []byte, reason string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.sources[source]
	r.failed(&r.decoy, source, delivery, reason, at)
}

func (r *RetryState) failed(a *account, source string, delivery []byte, reason string, at time.Time) {
	a.InARow++
	a.Reason, a.Refused = reason, at
	if len(delivery) > 0 {
		a.fail(r.id(source, delivery), at, &r.traces)
	}
}

// mostHashed bounds how much of each end of a delivery is hashed. Without it a refusal at a source
// that exists would take longer than at one that does not, by the time of hashing a large body.
const mostHashed = 2 << 10

// id identifies a delivery by its bytes, a large one by its length and its two ends.
func (r *RetryState) id(source string, delivery []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(delivery)))
	_, _ = h.Write(length[:])
	_, _ = h.WriteString(source)
	if len(delivery) > 2*mostHashed {
		_, _ = h.Write(delivery[:mostHashed])
		delivery = delivery[len(delivery)-mostHashed:]
	}
	_, _ = h.Write(delivery)
	return max(h.Sum64(), 1) // 0 is that of a free place
}

// Standing returns the state of a source's deliveries at a moment.
func (r *RetryState) Standing(source string, now time.Time) Standing {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.sources[source]
	if a == nil {
		return Standing{AttemptsLeft: len(spacing)}
	}
	s := a.Standing
	s.AttemptsLeft = len(spacing)
	for i := range a.awaited {
		f := &a.awaited[i]
		if !f.isAwaited(now) {
			*f = failure{} // its sender does not keep to the spacing
			continue
		}
		s.Failing++
		if next, _, _ := f.next(); s.NextRetry.IsZero() || next.Before(s.NextRetry) {
			s.NextRetry = next
		}
		s.AttemptsLeft = min(s.AttemptsLeft, len(spacing)+1-f.attempts)
	}
	maps.DeleteFunc(a.givenUp, func(_ uint64, since time.Time) bool { return now.After(since.Add(GivenUpKept)) })
	s.GivenUp = len(a.givenUp)
	for _, since := range a.givenUp {
		if !since.Before(s.Accepted) { // otherwise the platform still calls
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
