package keyusage

import (
	"errors"
	"fmt"
	"time"
)

// Reach says how far back the streams know what happened.
type Reach struct {
	// Jobs is the time of the oldest event in JOBS; zero if there is none.
	Jobs time.Time
	// Attempts is the time of the oldest attempt in ATTEMPTS if older ones have been
	// dropped; zero if all are there.
	Attempts time.Time
}

// Removal says whether a key can be removed without refusing a callback.
type Removal struct {
	// Safe is true when it can.
	Safe bool `json:"safe"`
	// Why says in words what speaks for it or against it.
	Why string `json:"why"`
	// SafeAt is when it can be at the earliest, as things stand; zero if time alone
	// does not make it so.
	SafeAt time.Time `json:"safe_not_before,omitzero"`
}

// Retirement is a key with whether it can be removed.
type Retirement struct {
	Use
	Removal
	// Unused is how long it has verified nothing, as far as the streams reach.
	Unused time.Duration `json:"-"`
}

// ErrNoKey is returned by Retire for a key that is not configured.
var ErrNoKey = errors.New("no such key is configured")

// ListRemovable is List, and says of each configured key whether it can be removed, as Retire does
// with RetrySpan.
func (k *Keys) ListRemovable(r Reach, now time.Time) []Use {
	all := k.List(now)
	for i, u := range all {
		if u.State == Removed {
			continue
		}
		if t, err := k.Retire(u.Source, u.Fingerprint, RetrySpan, r, now); err == nil {
			all[i].Removal = &t.Removal
		}
	}
	return all
}

// Retire says whether a source's configured key, by its fingerprint, is unused for at
// least span. That alone is not enough: another key of the source must have verified
// since, or the source was only quiet; and the streams must reach back so far.
func (k *Keys) Retire(source, fingerprint string, span time.Duration, r Reach, now time.Time) (Retirement, error) {
	all := k.List(now)
	var found *Use
	others := 0
	for i, u := range all {
		switch {
		case u.Source != source || u.State == Removed:
		case u.Fingerprint == fingerprint && found == nil:
			found = &all[i]
		case u.Fingerprint == fingerprint:
		default:
			others++
		}
	}
	if found == nil {
		return Retirement{}, fmt.Errorf("source %s, key %s: %w", source, fingerprint, ErrNoKey)
	}
	t := Retirement{Use: *found}
	since := t.Last
	if since.IsZero() {
		since = r.Jobs
	}
	if !since.IsZero() {
		t.Unused = now.Sub(since)
	}
	switch {
	case others == 0:
		t.Why = "it is the only key of its source: without it every callback is refused"
	case since.IsZero():
		t.Why = "the streams are empty, so the use of keys is unknown"
	case t.Unused < span && t.Last.IsZero():
		t.Why, t.SafeAt = fmt.Sprintf("it was never used, but the streams reach back only %s", Roughly(t.Unused)), since.Add(span)
	case t.Unused < span:
		t.Why, t.SafeAt = "used "+Roughly(t.Unused)+" ago"+byJob(t.Job), since.Add(span)
	case !r.Attempts.IsZero() && r.Attempts.After(now.Add(-span)):
		t.Why = fmt.Sprintf("ATTEMPTS reaches back only %s, so the key may have verified repeated callbacks before that", Roughly(now.Sub(r.Attempts)))
		t.SafeAt = r.Attempts.Add(span)
	case !otherVerified(*found, all):
		t.Why = "no other key of its source verified a callback since then, so the platform may still use this key"
	default:
		t.Safe = true
		t.Why = "unused for " + Roughly(t.Unused)
		if t.Last.IsZero() {
			t.Why = "never used in the " + Roughly(t.Unused) + " that the streams reach back"
		}
	}
	return t, nil
}

func byJob(id string) string {
	if id == "" {
		return ""
	}
	return " by job " + id
}

// Roughly writes a duration for people, rounded down: `40s`, `12m`, `97h`.
func Roughly(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(d, 0)/time.Second)
}
