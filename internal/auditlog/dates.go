package auditlog

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/verify"
)

const (
	// clockDifference is by how much the clocks of a receiver and of the NATS server that stores
	// for it may differ; doctor calls more an error.
	clockDifference = 5 * time.Minute

	// StoringTime is the longest time from the arrival of a callback until it is stored, unless
	// limits are so high that it may take longer: a minute in which repeats are counted, timeouts,
	// and clocks that differ.
	StoringTime = 15 * time.Minute

	// actingTime is the same of an action, whose operator may have been asked.
	actingTime = 24 * time.Hour

	maxClaims = 100_000 // records whose attempt is looked for
)

// acceptedLate are the verdicts on attempts that can be accepted later.
var acceptedLate = []string{job.Quarantined, string(verify.Mismatch)}

// Dates compares the times that records name with the times at which they were stored. Its Check is
// made for verification.Options; it may be called concurrently, but for ATTEMPTS only after JOBS.
//
// A callback that was accepted late, because it was quarantined or its key was corrected, is stored
// long after it came. When it came there was an attempt with the same body and the same time of
// arrival, so the event is no fault if there is one, or if ATTEMPTS does not reach back so far.
type Dates struct {
	storing time.Duration
	noHub   bool

	mu       sync.Mutex
	claims   map[claim]audit.Fault
	attempts bool      // any was met
	whole    bool      // the first one was, or none was ever stored
	oldest   time.Time // when the oldest one was stored
}

// claim names a callback.
type claim struct {
	source, body string
	received     int64
}

func claimOf(t job.Dating) claim { return claim{t.Source, t.Body, t.Received.UnixNano()} }

// NewDates returns an empty comparison. Storing is the longest time from the arrival of a
// callback until it is stored; less than StoringTime means that.
func NewDates(storing time.Duration) *Dates {
	return &Dates{storing: max(storing, StoringTime), claims: map[claim]audit.Fault{}}
}

// NoHub says that no edge forwards records to the store, so that a record that names one is forged.
// It returns the comparison.
func (d *Dates) NoHub(noHub bool) *Dates {
	d.noHub = noHub
	return d
}

// ErrLate is in the error for an event that arrived long before it was stored. It is no fault if
// there is an attempt from then (Claim).
var ErrLate = errors.New("no attempt")

// Check returns why the times of a record contradict when it was stored. An error that is ErrLate
// it keeps until it has met the attempts: see Faults.
func (d *Dates) Check(r audit.Record) error {
	t, err := d.Judge(r)
	if strings.HasPrefix(r.Subject, job.AttemptsPrefix) {
		d.attempt(r, t)
	}
	if !errors.Is(err, ErrLate) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.claims) >= maxClaims {
		return err
	}
	d.claims[claimOf(t)] = audit.Fault{Stream: r.Stream, Seq: r.Seq, Kind: audit.Misdated, Detail: err.Error()}
	return nil
}

// Judge returns the times that a record names, and why they contradict when it was stored.
func (d *Dates) Judge(r audit.Record) (job.Dating, error) {
	t, err := job.ReadDating(r.Subject, r.Header, r.Data)
	if err == nil {
		err = d.judge(r, t)
	}
	return t, err
}

func (d *Dates) judge(r audit.Record, t job.Dating) error {
	stored, by := r.Time, "it was stored"
	if !t.Edge.IsZero() {
		if d.noHub {
			return fmt.Errorf("it says that an edge stored it at %s, but no edge forwards to an embedded server", stamp(t.Edge))
		}
		if t.Edge.After(stored.Add(clockDifference)) {
			return fmt.Errorf("an edge stored it at %s, after it was stored here, at %s", stamp(t.Edge), stamp(stored))
		}
		stored, by = t.Edge, "the edge stored it"
	}
	latest := stored.Add(clockDifference)
	switch {
	case t.Received.After(latest):
		return fmt.Errorf("it says that it arrived at %s, after %s, at %s", stamp(t.Received), by, stamp(stored))
	case t.Time.After(latest):
		return fmt.Errorf("it says that it happened at %s, after %s, at %s", stamp(t.Time), by, stamp(stored))
	case !t.Edge.IsZero(): // its attempt may have been dropped there
		return nil
	case t.Action != "" && t.Action != job.ActionMend && stored.Sub(t.Time) > actingTime:
		return fmt.Errorf("it says that it happened at %s, but it was stored at %s", stamp(t.Time), stamp(stored))
	case t.Received.IsZero():
		return nil
	case !t.Time.IsZero() && t.Time.Sub(t.Received).Abs() > clockDifference:
		return fmt.Errorf("it says that it arrived at %s, and happened at %s", stamp(t.Received), stamp(t.Time))
	case stored.Sub(t.Received) <= d.storing:
		return nil
	case t.Verdict != "":
		return fmt.Errorf("it says that it arrived at %s, but it was stored at %s", stamp(t.Received), stamp(stored))
	}
	return fmt.Errorf("it says that it arrived at %s, but it was stored at %s, and there is %w from then that could be accepted later",
		stamp(t.Received), stamp(stored), ErrLate)
}

// attempt notes an attempt, and drops the claim that it explains.
func (d *Dates) attempt(r audit.Record, t job.Dating) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts = true
	d.whole = d.whole || r.Seq == 1
	if d.oldest.IsZero() || r.Time.Before(d.oldest) {
		d.oldest = r.Time
	}
	if slices.Contains(acceptedLate, t.Verdict) {
		delete(d.claims, claimOf(t))
	}
}

// Whole notes that nothing was dropped from ATTEMPTS.
func (d *Dates) Whole() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.whole = true
}

// Faults returns the records that came long before they were stored, and have no attempt though
// ATTEMPTS, which was checked, reaches back so far. They are in ascending sequence.
func (d *Dates) Faults() (all []audit.Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c, f := range d.claims {
		if d.whole || d.attempts && reaches(d.oldest, time.Unix(0, c.received)) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b audit.Fault) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// reaches reports whether attempts, the oldest of which was stored then, reach back to a time.
func reaches(oldest, back time.Time) bool { return oldest.Add(clockDifference).Before(back) }

// Attempts finds the attempt that explains an error that is ErrLate, for a reader that does not
// read all of them.
type Attempts struct {
	// Since gives the attempts at a source with one of the verdicts, from a time on.
	Since func(source string, verdicts []string, since time.Time) iter.Seq2[audit.Record, error]
	// Oldest returns when the oldest attempt was stored, and whether no attempt was dropped.
	Oldest func() (stored time.Time, first bool, err error)
}

// Explain returns the error if no attempt explains it, and nil if one does, or may have done.
func (a Attempts) Explain(t job.Dating, late error) error {
	oldest, first, err := a.Oldest()
	if err != nil || !first && !reaches(oldest, t.Received) {
		return nil //nolint:nilerr // it is not known; `audit verify` will tell
	}
	for r, err := range a.Since(t.Source, acceptedLate, t.Received.Add(-clockDifference)) {
		there, wrong := job.ReadDating(r.Subject, r.Header, nil)
		if err != nil || wrong == nil && claimOf(there) == claimOf(t) {
			return nil //nolint:nilerr // as above
		}
	}
	return late
}
