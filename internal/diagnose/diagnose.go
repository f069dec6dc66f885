// Package diagnose says to a person why a signature was refused. It looks for the
// signature among those that the usual mistakes make, and names the mistake and the
// next step.
//
// Nothing in it decides on a callback: that is package verify, which does not import
// it. Like verify it is pure: no clock, no file, no network, and no finding holds a key
// or a signature.
//
// OC: contract section 7, table (a) rows 23 to 27, table (b) rows 6 to 14.
package diagnose

import (
	"bytes"
	"fmt"
	"receiver/internal/verify"
	"strings"
)

// Question is a signature that was refused, and all that may help to say why. Only
// Values and Body are needed; the more keys and earlier callbacks, the better the answer.
type Question struct {
	// Values are the values of the signature header, as Verify takes them.
	Values []string
	// Body is the raw body, as Verify takes it.
	Body []byte
	// Keys are the keys of the source that was called.
	Keys []Candidate
	// Others are keys that are configured, but not for this source.
	Others []Candidate
	// Earlier are other callbacks to compare with, newest first.
	Earlier []Earlier
}

// Earlier is a callback that came before the one in question. It may be the one in
// question itself, which then explains nothing.
type Earlier struct {
	// Label names it to a person; it appears in findings.
	Label string
	// Values are the values of its signature header.
	Values []string
	// Body is its raw body, whole.
	Body []byte
}

// Candidate is a key that Explain may try in forms that Verify refuses. It prints
// as its name, never as its secret.
type Candidate struct {
	source, name string
	// A pointer, because fmt prints the unexported fields of foreign structs without
	// asking their methods: it then prints an address.
	secret *[]byte
}

// NewCandidate names a key and, if source is not empty, the source whose key it is.
// It keeps a copy of secret.
func NewCandidate(source, name string, secret []byte) Candidate {
	secret = append([]byte{}, secret...)
	return Candidate{source: source, name: name, secret: &secret}
}

// String returns `key "NAME"`, or `key "NAME" of source SOURCE`.
func (c Candidate) String() string {
	if c.source == "" {
		return fmt.Sprintf("key %q", c.name)
	}
	return fmt.Sprintf("key %q of source %s", c.name, c.source)
}

// blank reports whether NewKey would refuse the key.
func (c Candidate) blank() bool { return c.secret == nil || len(bytes.TrimSpace(*c.secret)) == 0 }

// Finding is one thing that Explain found out. It holds neither a key nor any
// signature, right or wrong.
type Finding struct {
	// Code is one of Codes, or several of them joined by +. Codes do not change.
	Code string `json:"code"`
	// Proved is true when, with the differences that Code names and no others, a key
	// makes exactly this signature. Otherwise the finding is true, or likely, but not
	// known to be all that is wrong.
	Proved bool `json:"proved"`
	// Text says it in plain words, and Next what to do about it.
	Text string `json:"text"`
	Next string `json:"next"`
	// Tried says what was compared with the signature and Skipped what was not, and
	// why. They are set when nothing explains it.
	Tried   []string `json:"tried,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
	// Compared sets what came beside what was signed. It is set if that was proved.
	Compared *Comparison `json:"compared,omitempty"`
}

// Explain says why Verify refuses a signature, most certain first; there is always at
// least one finding. It looks for the signature among those that come of the usual
// mistakes with key, body, hash and encoding, at most two of them with key, body and
// hash at once, and any number with the header's text.
//
// Explain is for a person who asks afterwards. It is slow, up to a second or so of one
// processor, looks inside the body, and must never stand in the way of a callback:
// nothing that it finds makes a signature right. The caller learns that a signature they
// already hold is that of a key, and nothing with which to make another.
func Explain(q Question) []Finding {
	if c, accepted := q.accepted(); accepted {
		f := newFinding(cause{"accepted", c.String()})
		f.Proved = true
		return []Finding{f}
	}
	readings, seen := read(q.Values)
	s := newSearch(q, readings)
	proof, proved := s.run()
	var found []Finding
	if proved {
		found = append(found, proof)
	} else {
		found = append(found, visible(seen)...)
	}
	found = append(found, reused(q, readings)...)
	if proved {
		return found
	}
	found = append(found, guesses(q)...)
	if len(readings) > 0 {
		found = append(found, s.unexplained())
	}
	return found
}

// accepted asks Verify, and returns the key by which it accepts.
func (q Question) accepted() (Candidate, bool) {
	for _, c := range q.Keys {
		if c.blank() {
			continue
		}
		k, err := verify.NewKey(c.name, *c.secret, verify.Window{})
		if err != nil {
			continue
		}
		if v, err := verify.New(k); err == nil && v.Verify(q.Values, q.Body).Accepted() {
			return c, true
		}
	}
	return Candidate{}, false
}

// newFinding makes a finding of one cause, standing alone.
func newFinding(c cause) Finding {
	text := c.clause()
	return Finding{Code: c.code, Text: strings.ToUpper(text[:1]) + text[1:] + ".", Next: known[c.code].next}
}

// visible makes findings of what can be seen of the header, each once.
func visible(seen []cause) []Finding {
	var found []Finding
	done := map[string]bool{}
	for _, c := range seen {
		if !done[c.code] {
			done[c.code] = true
			found = append(found, newFinding(c))
		}
	}
	return found
}

// reused finds the first earlier callback that had the same signature and another body.
func reused(q Question, readings []reading) []Finding {
	for _, e := range q.Earlier {
		if bytes.Equal(e.Body, q.Body) {
			continue
		}
		theirs, _ := read(e.Values)
		for _, t := range theirs {
			for _, r := range readings {
				if bytes.Equal(t.digest, r.digest) {
					return []Finding{newFinding(cause{"signature_of_earlier", e.Label})}
				}
			}
		}
	}
	return nil
}

// guesses are what the body looks like, without a proof.
func guesses(q Question) []Finding {
	var found []Finding
	for _, e := range q.Earlier {
		if c := relation(q.Body, e); c.code == "body_truncated" {
			found = append(found, newFinding(c))
			break
		}
	}
	if len(found) == 0 && endsEarly(q.Body) {
		found = append(found, newFinding(cause{code: "body_incomplete"}))
	}
	if isGzip(q.Body) {
		found = append(found, newFinding(cause{code: "body_compressed"}))
	}
	return found
}
