package auditlog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// Checker verifies again, with the current keys, what records say about their signatures. Its Check
// is made for verification.Options and audit.Bundle; it may be called concurrently.
//
// A fault is a contradiction: an event whose signature does not verify with the key that it names;
// a refusal as malformed of a signature that is well-formed; a body with another digest. A change
// of keys is no fault: a signature by a key that is no longer configured cannot be checked, and a
// callback that was refused for its signature may verify with a key that was corrected since.
type Checker struct {
	verifiers map[string]*verify.Verifier
	every     *verify.Verifier // instead of those; nil for none
	body      func(audit.Record) ([]byte, error)

	mu        sync.Mutex
	gone      map[string]int
	mended    int
	hidden    int
	elsewhere int
}

// ErrEncrypted is an audit.ErrNotChecked: the body is encrypted, and there is no key for it.
var ErrEncrypted = fmt.Errorf("%w: its body is encrypted", audit.ErrNotChecked)

// ErrElsewhere is an audit.ErrNotChecked: the body is not in the record, and is not given.
var ErrElsewhere = fmt.Errorf("%w: its body is not given", audit.ErrNotChecked)

// Hidden returns an error with the text of err that is ErrEncrypted.
func Hidden(err error) error { return hidden{err} }

type hidden struct{ error }

// Unwrap makes it ErrEncrypted.
func (h hidden) Unwrap() []error { return []error{h.error, ErrEncrypted} }

// NewChecker returns a checker with the keys of each source by its name. Body returns the
// whole body of a record as it was signed, wherever it is and decrypted if it is encrypted;
// its error may be audit.ErrNotChecked or ErrEncrypted. Nil means that the data is the body.
func NewChecker(sources map[string]*verify.Verifier, body func(audit.Record) ([]byte, error)) *Checker {
	if body == nil {
		body = func(r audit.Record) ([]byte, error) { return r.Data, nil }
	}
	return &Checker{verifiers: sources, body: body, gone: make(map[string]int)}
}

// Every has all sources checked with these keys; nil changes nothing. Call it before Check.
func (c *Checker) Every(v *verify.Verifier) { c.every = v }

// verifier returns the keys of a source, or nil.
func (c *Checker) verifier(source string) *verify.Verifier {
	if c.every != nil {
		return c.every
	}
	return c.verifiers[source]
}

// Gone returns the fingerprints of keys that signatures could not be checked with, because
// they are no longer configured, each with the number of records, such as
// `sha256:fdef0e6f (12)`.
func (c *Checker) Gone() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]string, 0, len(c.gone))
	for _, fingerprint := range slices.Sorted(maps.Keys(c.gone)) {
		all = append(all, fmt.Sprintf("%s (%d)", fingerprint, c.gone[fingerprint]))
	}
	return all
}

// Mended returns how many callbacks were refused as mismatch whose signature is right by a
// key that is configured now.
func (c *Checker) Mended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mended
}

// Hidden returns how many signatures could not be checked because of ErrEncrypted.
func (c *Checker) Hidden() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hidden
}

// Elsewhere returns how many signatures could not be checked because of ErrElsewhere.
func (c *Checker) Elsewhere() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elsewhere
}

// whole returns the body, and books one that is hidden or not here.
func (c *Checker) whole(r audit.Record) ([]byte, error) {
	body, err := c.body(r)
	if err == nil {
		return body, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, ErrEncrypted):
		c.hidden++
	case errors.Is(err, ErrElsewhere):
		c.elsewhere++
	}
	return nil, err
}

// Check returns nil if the record's signature, or the reason of its refusal, is confirmed;
// audit.ErrNotChecked if that is not known; and otherwise the fault.
func (c *Checker) Check(r audit.Record) error {
	if strings.HasPrefix(r.Subject, job.ActionsPrefix) {
		if _, err := job.ParseAction(r.Subject, r.Data); err != nil {
			return err
		}
		return audit.ErrNotChecked
	}
	claim, err := job.ReadClaim(r.Subject, r.Header)
	if err != nil {
		return err
	}
	if claim.Verdict != "" {
		return c.attempt(r, claim)
	}
	return c.event(r, claim)
}

func (c *Checker) event(r audit.Record, claim job.Claim) error {
	switch claim.Evidence {
	case job.ByCallback, job.ByReverify:
	default:
		return c.unsigned(r, claim)
	}
	if claim.Fingerprint == "" {
		return errors.New("it claims a signed callback, but names no key")
	}
	return c.signed(r, claim)
}

func (c *Checker) attempt(r audit.Record, claim job.Claim) error {
	switch {
	case claim.Size > 0 && len(r.Data) == 0: // over the bound for refused bodies
		return audit.ErrNotChecked
	case claim.Fingerprint != "":
		return c.signed(r, claim)
	}
	body, err := c.whole(r)
	if err != nil {
		return err
	}
	if err := c.digest(body, claim); err != nil {
		return err
	}
	v := c.verifier(claim.Source)
	if v == nil {
		return audit.ErrNotChecked
	}
	right := v.Verify([]string{claim.Signature}, body).Accepted()
	switch verify.Reason(claim.Verdict) {
	case verify.Mismatch:
		if right {
			c.mu.Lock()
			c.mended++
			c.mu.Unlock()
		}
		return nil
	case verify.Missing:
		if claim.Signature != "" {
			return errors.New("it was refused for a missing signature, but has one")
		}
		return nil
	case verify.Ambiguous, verify.Malformed, verify.UnsupportedAlgorithm:
		if len(claim.Signature) >= job.MaxSignature {
			return audit.ErrNotChecked // what it was refused for may have been cut off
		}
		if right {
			return fmt.Errorf("it was refused as %s, but its signature is correct", claim.Verdict)
		}
		return nil
	}
	return audit.ErrNotChecked
}

// unsigned checks that an unsigned body is there, and its digest if the record names one.
func (c *Checker) unsigned(r audit.Record, claim job.Claim) error {
	body, err := c.body(r)
	if err == nil {
		err = c.digest(body, claim)
	}
	if err == nil || errors.Is(err, audit.ErrNotChecked) {
		return audit.ErrNotChecked
	}
	return err
}

// signed checks a signature that is said to be made by a named key.
func (c *Checker) signed(r audit.Record, claim job.Claim) error {
	body, err := c.whole(r)
	if err != nil {
		return err
	}
	if err := c.digest(body, claim); err != nil {
		return err
	}
	v := c.verifier(claim.Source)
	if v == nil {
		return c.without(claim)
	}
	if v.Verify([]string{claim.Signature}, body).Accepted() {
		return nil
	}
	for _, k := range v.Keys() {
		if k.Fingerprint() == claim.Fingerprint {
			return fmt.Errorf("its signature is not one of key %s over this body", k)
		}
	}
	return c.without(claim)
}

// without books a record whose key is no longer there.
func (c *Checker) without(claim job.Claim) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Fingerprints come from the store: many different ones are a sign of damage, not of keys.
	if _, known := c.gone[claim.Fingerprint]; known || len(c.gone) < maxGone {
		c.gone[claim.Fingerprint]++
	}
	return audit.ErrNotChecked
}

const maxGone = 1000

func (c *Checker) digest(body []byte, claim job.Claim) error {
	if claim.Body != "" && job.BodySHA256(body) != claim.Body {
		return errors.New("the SHA-256 of its body differs from its header")
	}
	return nil
}
