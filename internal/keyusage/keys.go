// Package keyusage says how the signature keys of sources are used: which key verified
// which callback last, whether a key can be removed, and how the callbacks of each source
// were received. It counts arrivals, which the caller reads from the streams.
//
// It never holds a key, only its name and its fingerprint, and decides on no callback.
package keyusage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/job"
)

// RetrySpan is how long a key should be unused before it is removed. The platform may
// send a callback again 73 h after its first attempt (contract section 6.4; a newer page
// says 9.5 h), and whether a retry is signed anew is documented nowhere. The rest is a
// day to spare.
const RetrySpan = 96 * time.Hour

// Key is a signature key of a source as it is configured.
type Key struct {
	Source      string `json:"source"`
	Name        string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	// NotBefore and NotAfter bound when it is expected to be in use; zero is no bound.
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
}

// Find returns the one key of that name, fingerprint or source/name; an empty source is any.
func Find(keys []Key, source, key string) (one Key, err error) {
	var found, all []string
	for _, k := range keys {
		if source != "" && k.Source != source {
			continue
		}
		full := k.Source + "/" + k.Name
		all = append(all, full)
		if key == k.Name || key == k.Fingerprint || key == full {
			found, one = append(found, full), k
		}
	}
	switch {
	case len(found) == 1:
		return one, nil
	case len(found) > 1:
		return one, fmt.Errorf("key %q is ambiguous: %s; give SOURCE/NAME", key, strings.Join(found, ", "))
	case len(all) > 0:
		return one, fmt.Errorf("no key %q is configured; configured keys: %s", key, strings.Join(all, ", "))
	case source != "":
		return one, fmt.Errorf("no source %q is configured", source)
	}
	return one, errors.New("no source is configured")
}

// State says where a key stands.
type State string

// The states of a key.
const (
	Active State = "active"
	// Early and Expired are configured and outside their window: they verify still.
	Early   State = "early"
	Expired State = "expired"
	// Removed is not configured any more, but the streams know it.
	Removed State = "removed"
)

// Use is a key with what the streams say of its use, by all replicas.
type Use struct {
	Key
	State State `json:"state"`
	// First and Last are its first and last use that is still in the streams, and Job
	// the job of the last; zero and empty if there is none.
	First time.Time `json:"first_use,omitzero"`
	Last  time.Time `json:"last_use,omitzero"`
	Job   string    `json:"last_job,omitempty"`
	// Verified counts the callbacks that it verified.
	Verified int `json:"verified"`
	// Mismatches counts the well-formed signatures at its source, since its last use,
	// that no key made.
	Mismatches int `json:"mismatches"`
	// Warnings say what somebody should look at, each in one sentence.
	Warnings []string `json:"warnings,omitempty"`
	// Removal says whether it can be removed; nil if it is removed, or that was not asked.
	Removal *Removal `json:"removal,omitempty"`
}

// Keys counts the use of keys over the streams. It is filled by Add and read after.
type Keys struct {
	configured []Key
	used       map[keyID]*Use
	mismatches map[string][]int64 // times by source
	aside      map[arrivalID]bool
}

type keyID struct{ source, fingerprint string }

type arrivalID struct {
	source, body string
	received     int64
}

// NewKeys returns an empty count. Configured are the keys in force.
func NewKeys(configured []Key) *Keys {
	return &Keys{
		configured: configured, used: map[keyID]*Use{},
		mismatches: map[string][]int64{}, aside: map[arrivalID]bool{},
	}
}

// Add counts one callback. Those of ATTEMPTS come before those of JOBS: one that was quarantined
// and then released is in both.
func (k *Keys) Add(a job.Arrival) {
	switch {
	case a.Verdict == "mismatch":
		k.mismatches[a.Source] = append(k.mismatches[a.Source], a.Received.UnixNano())
		return
	case !a.Authentic():
		return
	}
	id := arrivalID{a.Source, a.Body, a.Received.UnixNano()}
	if a.Verdict == job.Quarantined {
		k.aside[id] = true
	} else if a.Verdict == "" && k.aside[id] {
		return
	}
	u := k.used[keyID{a.Source, a.Fingerprint}]
	if u == nil {
		u = &Use{Key: Key{Source: a.Source, Fingerprint: a.Fingerprint}, First: a.Received}
		k.used[keyID{a.Source, a.Fingerprint}] = u
	}
	u.Verified++
	if a.Received.Before(u.First) {
		u.First = a.Received
	}
	if !a.Received.Before(u.Last) {
		u.Last, u.Job, u.Name = a.Received, a.Job, a.Key
	}
}

// List returns the keys by source: the configured ones as they are configured, then those
// that the streams know besides, newest first.
func (k *Keys) List(now time.Time) []Use {
	all := append(k.inForce(now), k.removed()...)
	slices.SortStableFunc(all, func(a, b Use) int { return strings.Compare(a.Source, b.Source) })
	for i, u := range all {
		all[i].Mismatches = k.mismatchesSince(u.Source, u.Last)
	}
	for i, u := range all {
		all[i].Warnings = warnings(u, all, now)
	}
	return all
}

func (k *Keys) inForce(now time.Time) []Use {
	var all []Use
	known := map[keyID]bool{}
	for _, key := range k.configured {
		id := keyID{key.Source, key.Fingerprint}
		var u Use
		// One value configured twice is used under its first name.
		if seen := k.used[id]; seen != nil && !known[id] {
			u = *seen
		}
		u.Key, u.State = key, stateOfKey(key, now)
		known[id] = true
		all = append(all, u)
	}
	return all
}

func (k *Keys) removed() []Use {
	var all []Use
	for id, u := range k.used {
		configured := slices.ContainsFunc(k.configured, func(key Key) bool { return keyID{key.Source, key.Fingerprint} == id })
		if !configured {
			gone := *u
			gone.State = Removed
			all = append(all, gone)
		}
	}
	slices.SortFunc(all, func(a, b Use) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	return all
}

func stateOfKey(k Key, now time.Time) State {
	switch {
	case now.Before(k.NotBefore):
		return Early
	case !k.NotAfter.IsZero() && !now.Before(k.NotAfter):
		return Expired
	}
	return Active
}

func (k *Keys) mismatchesSince(source string, t time.Time) int {
	n := 0
	for _, at := range k.mismatches[source] {
		if t.IsZero() || at > t.UnixNano() {
			n++
		}
	}
	return n
}

// warnings says what is wrong with the use of a key, given the use of all.
func warnings(u Use, all []Use, now time.Time) []string {
	var w []string
	recent := !u.Last.IsZero() && now.Sub(u.Last) < RetrySpan
	if recent && !u.NotAfter.IsZero() && !u.Last.Before(u.NotAfter) {
		w = append(w, "verified after its not_after: the platform still signs with it")
	}
	if recent && u.First.Before(u.NotBefore) {
		w = append(w, "verified before its not_before")
	}
	if next := successor(u, all); recent && next != nil && u.Last.After(next.First) {
		w = append(w, fmt.Sprintf("still verifies, though %s is in use since %s", next.Name, next.First.UTC().Format(time.RFC3339)))
	}
	switch {
	case u.Mismatches == 0 || otherVerified(u, all):
	case u.Last.IsZero():
		w = append(w, fmt.Sprintf("never verified anything, and signatures that matched no key: %d; is this the platform's?", u.Mismatches))
	default:
		w = append(w, fmt.Sprintf("signatures that matched no key since its last use: %d; forgeries, or another key at the platform", u.Mismatches))
	}
	return w
}

// successor is the key of the same source that came into use after u, the last of them.
func successor(u Use, all []Use) *Use {
	var next *Use
	for i, v := range all {
		if v.Source == u.Source && v.Fingerprint != u.Fingerprint && v.First.After(u.First) && (next == nil || v.First.After(next.First)) {
			next = &all[i]
		}
	}
	return next
}

// otherVerified reports whether another configured key of the source verified since u
// did: then the platform is known to sign with that one.
func otherVerified(u Use, all []Use) bool {
	return slices.ContainsFunc(all, func(v Use) bool {
		return v.Source == u.Source && v.Fingerprint != u.Fingerprint && v.State != Removed && v.Last.After(u.Last)
	})
}
