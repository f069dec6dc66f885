package doctor

import (
	"fmt"
	"slices"
	"time"

	"receiver/internal/words"
)

// Key is what may be known of a signature key: not the key.
type Key struct {
	Source, Name, Fingerprint string
	// Setting is the path of its value in the configuration.
	Setting string
	// Bytes is its length, and Spaced whether there is white space around it.
	Bytes  int
	Spaced bool
	// Same is equal for keys that are equal, and for no others.
	Same string
	// NotBefore and NotAfter bound when it is expected to be in use; zero does not.
	NotBefore, NotAfter time.Time
}

const (
	// OC: (a) row 25: the platform's field has 128 characters.
	longestKey  = 128
	shortestKey = 16
	windowSoon  = 14 * 24 * time.Hour
)

func (k Key) finding(what, why, change string) Finding {
	return Finding{
		Severity: Warning, What: fmt.Sprintf("key %s of source %s (%s) %s", k.Name, k.Source, k.Fingerprint, what),
		Why: why, Setting: k.Setting, Change: change,
	}
}

// Keys judges the keys themselves.
func Keys(keys []Key) []Finding {
	var found []Finding
	for i, k := range keys {
		if k.Bytes > longestKey {
			found = append(found, k.finding("has "+words.Count(k.Bytes, "byte"),
				"the platform stores at most 128 characters, so it signs with another key", "use a key of at most 128 characters, here and at the platform"))
		}
		if k.Bytes < shortestKey {
			found = append(found, k.finding("has only "+words.Count(k.Bytes, "byte"),
				"an attacker with one signed callback can find a short key by trial, and then forge callbacks", "use 32 random characters, such as the output of `openssl rand -hex 16`, here and at the platform"))
		}
		if k.Spaced {
			found = append(found, k.finding("has white space around it", "it is part of the key here, but the platform may have removed it",
				"use the key as the platform has it; exactly one line end is removed from a key file"))
		}
		same := slices.IndexFunc(keys[:i], func(other Key) bool { return other.Same == k.Same })
		if same < 0 {
			continue
		}
		other := keys[same]
		if other.Source == k.Source {
			found = append(found, k.finding("is the same as "+other.Name, "removing one of them has no effect", "remove one of the two"))
		} else {
			found = append(found, k.finding("is also that of source "+other.Source,
				"a callback signed for one source is accepted at the other", "use a different key for each source, here and at the platform"))
		}
	}
	if len(found) == 0 {
		return []Finding{{What: fmt.Sprintf("signature keys: %d, all different and of a length that the platform can store", len(keys))}}
	}
	return found
}

// Windows judges the times in which keys are expected to be in use. Outside of them they
// verify all the same.
func Windows(keys []Key, now time.Time) []Finding {
	var found []Finding
	open := map[string]bool{}
	var sources []string
	for _, k := range keys {
		if !slices.Contains(sources, k.Source) {
			sources = append(sources, k.Source)
		}
		open[k.Source] = open[k.Source] || !now.Before(k.NotBefore) && (k.NotAfter.IsZero() || now.Before(k.NotAfter))
		left := k.NotAfter.Sub(now)
		switch {
		case k.NotAfter.IsZero():
		case left <= 0:
			found = append(found, k.finding("expired at "+k.NotAfter.UTC().Format(time.RFC3339),
				"it is still accepted until it is removed, also from anyone else who has it",
				"remove it when `receiver keys retire` says that it is safe"))
		case left <= windowSoon && !followed(k, keys):
			found = append(found, k.finding(fmt.Sprintf("expires in %s, and no other key is valid after it", span(left)),
				"if the platform changes its key then, every callback is refused", "add the next key now, as described in docs/keys.md"))
		}
	}
	for _, source := range sources {
		if !open[source] {
			found = append(found, Finding{
				Severity: Warning, What: "source " + source + " has no key that is valid now by its dates",
				Why:     "its keys are still accepted, but one of the dates is wrong, or a key is missing",
				Setting: "sources." + source + ".signature_keys", Change: "correct not_before and not_after, or add the key in use",
			})
		}
	}
	return found
}

// followed says whether another key of the source is in use after the end of k.
func followed(k Key, keys []Key) bool {
	return slices.ContainsFunc(keys, func(other Key) bool {
		return other.Source == k.Source && other.Same != k.Same && !other.NotBefore.After(k.NotAfter) &&
			(other.NotAfter.IsZero() || other.NotAfter.After(k.NotAfter))
	})
}
