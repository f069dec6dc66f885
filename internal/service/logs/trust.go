package logs

import (
	"slices"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
)

// Believe has the configuration believe keys that were given: in place of its own, which it returns
// then, or with both besides those.
func Believe(c *config.Audit, keys []string, both bool) (distrusted *config.Audit) {
	if len(keys) > 0 && !both {
		configured := *c
		distrusted = &configured
		c.Key, c.VerifierKeys = config.Secret{}, nil
	}
	c.VerifierKeys = append(slices.Clip(c.VerifierKeys), keys...)
	return distrusted
}

// Idle returns the logs that an explicitly believed key is named after and has signed no checkpoint
// of, in any place. The configuration's own key is not among them: it may be a new one. Nor is a
// log that got no record while the key was in use: the key has signed another log of the same
// name, and an earlier or later key that is believed has signed this one.
func Idle(c config.Audit, kept *anchor.Collection) []string {
	var idle []string
	texts, _ := believed(c) // they were used, so there is no error
	for _, text := range c.VerifierKeys {
		origin, _, _ := strings.Cut(text, "+")
		used := slices.ContainsFunc(Streams, func(stream string) bool {
			other := origin[:strings.LastIndex(origin, "/")+1] + stream
			return signs(rename(text, other), kept.Of(other))
		}) && slices.ContainsFunc(texts, func(other string) bool { return signs(rename(other, origin), kept.Of(origin)) })
		if !used && !slices.Contains(idle, origin) {
			idle = append(idle, origin)
		}
	}
	return idle
}

// signs reports whether a verifier key has signed one of these checkpoints.
func signs(text string, kept []audit.Kept) bool {
	keys, err := audit.ParseKeys([]string{text}, nil)
	return err == nil && slices.ContainsFunc(kept, func(k audit.Kept) bool {
		_, err := audit.OpenCheckpoint(k.Note, keys)
		return err == nil
	})
}

// Signing is a key that has signed a log.
type Signing struct{ Origin, Text string }

// Strange returns the keys of a configuration that are not believed and have signed its logs.
func Strange(distrusted, c config.Audit, kept *anchor.Collection) []Signing {
	var strange []Signing
	texts, err := believed(distrusted)
	if err != nil { // the secret key is not on an auditor's machine
		texts = distrusted.VerifierKeys
	}
	for _, stream := range Streams {
		origin := Origin(c, stream)
		for _, text := range texts {
			s := Signing{origin, rename(text, origin)}
			known := slices.ContainsFunc(c.VerifierKeys, func(given string) bool { return same(given, text) })
			if !known && !slices.Contains(strange, s) && signs(s.Text, kept.Of(origin)) {
				strange = append(strange, s)
			}
		}
	}
	return strange
}

// Texts are the verifier keys, whole, of those that are <name>+<key ID>.
func Texts(c config.Audit, ids []string) []string {
	texts, _ := believed(c) // they were used, so there is no error
	whole := []string{}
	for _, id := range ids {
		name, _, _ := strings.Cut(id, "+")
		for _, text := range texts {
			if key := rename(text, name); strings.HasPrefix(key, id+"+") && !slices.Contains(whole, key) {
				whole = append(whole, key)
			}
		}
	}
	return whole
}
