package job

import (
	"fmt"
	"strconv"
	"strings"
)

// Claim is what a message of JOBS or ATTEMPTS says of the signature that its body came
// with: what has to hold when the signature is checked again.
type Claim struct {
	// Source is the configured source, or NoSource.
	Source string
	// Evidence is how an event is known; empty for an attempt.
	Evidence Evidence
	// Verdict is the verdict on an attempt; empty for an event.
	Verdict string
	// Signature is the signature header's value as received.
	Signature string
	// Key and Fingerprint are of the key that the signature is said to be made with; both
	// are empty if it is not said to be right.
	Key, Fingerprint string
	// Body is the SHA-256 of the whole body in hexadecimal, and Size its length; -1 where
	// the message does not tell. Encrypted data does not change either.
	Body string
	Size int64
}

// ReadClaim reads the headers of a message. It returns an error for one that this program
// did not write.
func ReadClaim(subject string, header map[string][]string) (Claim, error) {
	get := LookupIn(header)
	c := Claim{
		Signature: get(HeaderSignature), Key: get(headerKey), Fingerprint: get(HeaderFingerprint), Body: get(HeaderBody), Size: -1,
	}
	var err error
	if !strings.HasPrefix(subject, AttemptsPrefix) {
		c.Source, _, _, err = ParseSubject(subject)
		c.Evidence = Evidence(get(HeaderEvidence))
		if err == nil && c.Evidence == "" {
			err = fmt.Errorf("message on %q does not say how its origin is known", subject)
		}
		if size, wrong := strconv.ParseInt(get(headerSize), 10, 64); wrong == nil && size >= 0 {
			c.Size = size // only where the data is encrypted
		}
		return c, err
	}
	if c.Source, c.Verdict, err = parseAttemptSubject(subject); err != nil {
		return c, err
	}
	size, err := strconv.ParseInt(get(headerSize), 10, 64)
	if err != nil || size < 0 {
		return c, fmt.Errorf("message on %q: %s %q is not the size of a body", subject, headerSize, get(headerSize))
	}
	c.Size = size
	return c, nil
}
