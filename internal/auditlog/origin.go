package auditlog

import (
	"errors"
	"fmt"

	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// Origin checks the origin of the bodies of a proof bundle: by signature keys that are given, of
// whatever source.
type Origin struct {
	Verifier *verify.Verifier                   // nil without a key
	Body     func(audit.Record) ([]byte, error) // as for NewChecker
	Hidden   int                                // signatures not checked because the body is encrypted
}

// Reverify returns what checks that every signature that is said to be right was made with
// one of the keys, for audit.Bundle; nil without a key.
func (o *Origin) Reverify() func(audit.Record) error {
	if o.Verifier == nil {
		return nil
	}
	return func(r audit.Record) error {
		claim, err := job.ReadClaim(r.Subject, r.Header)
		if err != nil || claim.Fingerprint == "" {
			return audit.ErrNotChecked // nothing says that a key made a signature
		}
		checker := NewChecker(map[string]*verify.Verifier{claim.Source: o.Verifier}, o.Body)
		err = checker.Check(r)
		o.Hidden += checker.Hidden()
		if errors.Is(err, audit.ErrNotChecked) && len(checker.Gone()) > 0 {
			return fmt.Errorf("it names key %s, which is not among those given", claim.Fingerprint)
		}
		return err
	}
}
