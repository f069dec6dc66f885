package auditlog

import (
	"errors"
	"fmt"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// Conclusion is how the origin of a record stands for somebody who has some of the platform's
// signature keys, called the given key. docs/evidence.md has the rules, and
// examples/check_bundle.py comes to the same.
type Conclusion string

// The conclusions. With one of the last two a bundle is not proved, and with one of the two before
// it is not known.
const (
	// Signed: a given key made the signature over the body.
	Signed Conclusion = "signed with the given key"
	// RefusedWrongly: the same, of a callback that was refused.
	RefusedWrongly Conclusion = "refused, but signed with the given key"
	// RefusedRightly: no given key made the signature with which it was refused.
	RefusedRightly Conclusion = "refused, and not signed with the given key"
	// Unsigned: there is no signature, and nothing says that there was one.
	Unsigned Conclusion = "nothing signed"
	// BodyEncrypted: an identity is missing, or the decrypted body.
	BodyEncrypted Conclusion = "body encrypted"
	// BodyMissing: the record does not hold it, and it is not given.
	BodyMissing Conclusion = "body not in the bundle"
	// OtherKey: the record names a key that is not given, and no given key made the signature.
	OtherKey Conclusion = "said to be signed with another key"
	// Contradicting: the record says of its body or of a given key what does not hold.
	Contradicting Conclusion = "contradicts itself"
)

// Origin checks the origin of the bodies of a proof bundle: by signature keys that are given, of
// whatever source.
type Origin struct {
	Verifier *verify.Verifier                   // nil without a key
	Body     func(audit.Record) ([]byte, error) // as for NewChecker
	// Conclusions are those on the records that were checked, in their order.
	Conclusions []Conclusion
}

// Reverify returns what comes to a conclusion about each record, for audit.Bundle; without a key it
// only reads their bodies. Of OtherKey and Contradicting it makes an error.
func (o *Origin) Reverify() func(audit.Record) error {
	return func(r audit.Record) error {
		found, why := o.conclude(r)
		switch {
		case found == OtherKey || found == Contradicting:
			return fmt.Errorf("in the log, but %s: %w", found, why)
		case why != nil:
			return why
		case o.Verifier == nil:
			return audit.ErrNotChecked
		}
		o.Conclusions = append(o.Conclusions, found)
		if found == Signed || found == RefusedWrongly {
			return nil
		}
		return audit.ErrNotChecked
	}
}

// Count returns on how many records the conclusion is this one.
func (o *Origin) Count(c Conclusion) (n int) {
	for _, found := range o.Conclusions {
		if found == c {
			n++
		}
	}
	return n
}

// Unknown returns what is missing if the origin of a record is not known.
func (o *Origin) Unknown() error {
	switch {
	case o.Count(BodyMissing) > 0:
		return fmt.Errorf("an origin is not known: %s; give it with --body", BodyMissing)
	case o.Count(BodyEncrypted) > 0:
		return fmt.Errorf("an origin is not known: %s; give --identity-file with a key for it, or the decrypted body with --body", BodyEncrypted)
	}
	return nil
}

// ErrUnreadable is in the error of Body if the record is not to blame for it.
var ErrUnreadable = errors.New("its body cannot be read")

// conclude returns the conclusion on a record, and why it is OtherKey or Contradicting. The
// conclusion is empty if there is none, with ErrUnreadable or without a key.
func (o *Origin) conclude(r audit.Record) (Conclusion, error) {
	claim, _ := job.ReadClaim(r.Subject, r.Header) // its error is about a part that is not needed here
	body, err := o.Body(r)
	switch {
	case errors.Is(err, ErrUnreadable):
		return "", err
	case err != nil && !errors.Is(err, audit.ErrNotChecked):
		return Contradicting, err
	case err == nil && claim.Body != "" && job.BodySHA256(body) != claim.Body:
		return Contradicting, errors.New("the SHA-256 of its body differs from its header")
	case strings.Trim(claim.Signature, " \t") == "" && claim.Fingerprint == "":
		if claim.Evidence == job.ByCallback || claim.Evidence == job.ByReverify {
			return Contradicting, errors.New("it claims a signed callback, and has no signature")
		}
		return Unsigned, nil
	case errors.Is(err, ErrEncrypted):
		return BodyEncrypted, nil
	case err != nil:
		return BodyMissing, nil
	case o.Verifier == nil:
		return "", nil
	}
	attempt := strings.HasPrefix(r.Subject, job.AttemptsPrefix)
	right := o.Verifier.Verify(r.Header[job.HeaderSignature], body).Accepted()
	switch {
	case right && attempt && claim.Fingerprint == "":
		return RefusedWrongly, nil
	case right:
		return Signed, nil
	case attempt && claim.Fingerprint == "":
		return RefusedRightly, nil
	case claim.Fingerprint == "":
		return Contradicting, errors.New("it names no key that made its signature")
	}
	for _, k := range o.Verifier.Keys() {
		if k.Fingerprint() == claim.Fingerprint {
			return Contradicting, fmt.Errorf("its signature is not one of key %s over this body", k)
		}
	}
	return OtherKey, fmt.Errorf("it names key %s, which is not among those given", claim.Fingerprint)
}
