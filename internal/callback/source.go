package callback

import (
	"context"
	"crypto/hmac"

	"receiver/internal/job"
	"receiver/internal/verify"
)

// Source is one configured source of callbacks.
type Source struct {
	// Name is the source's name in addresses, subjects and events.
	Name string
	// Verifier holds the source's keys.
	Verifier *verify.Verifier
	// Tokens reads the tokens in addresses; nil means that none are looked at.
	Tokens *Tokens
	// TokenRequired refuses callbacks to an address without a token.
	TokenRequired bool
	// Submission returns our own id of the submission of a job, and whether it is known
	// yet: a callback can overtake the answer to its upload. Nil means that a token is
	// not held against the job that the callback is about. Its error is as good as the
	// store's.
	Submission func(ctx context.Context, id string) (submission string, known bool, err error)
	// Username and Password, if Username is not empty, are asked of callbacks in
	// addition to the signature, never instead. OC: (b) row 28.
	Username, Password string
	// Expected reports whether the job of that id was submitted here; nil for no check. It is asked
	// once for each callback, before it is stored, and its error is as good as the store's.
	Expected func(ctx context.Context, id string) (bool, error)
	// Quarantine stores callbacks about jobs that are not expected as attempts.
	Quarantine bool
	// Confirm reports whether the outcome in a callback is confirmed: the platform gives the same
	// answer, or the outcome is known already. Nil means that no confirmation is needed. If it
	// returns false, the callback is stored as an attempt, and the implementation must see to it
	// that the outcome is polled.
	// OC: (b) row 5.
	Confirm func(ctx context.Context, told job.View) (bool, error)

	pad *verify.Verifier // the work that other sources have more keys for; nil if none has
}

// The reasons for refusing what is signed. The body alone is signed, so a signature
// cannot tell that a callback came by the right way.
const (
	// BadCredentials: the Basic credentials are missing or others than configured.
	BadCredentials = "bad_credentials"
	// MissingToken: the address has no token, and the source requires one.
	MissingToken = "missing_token"
	// MismatchToken: the token is not of our making, or that of another submission.
	MismatchToken = "mismatch_token"
)

// admit checks the parts of the request that are not signed, and returns what the token grants, if
// there is one, and why the callback is refused, or nothing.
func (s *Source) admit(q Request) (grant *Grant, reason string) {
	if s.Username != "" {
		user := hmac.Equal([]byte(q.Username), []byte(s.Username))
		password := hmac.Equal([]byte(q.Password), []byte(s.Password))
		if !user || !password {
			return nil, BadCredentials
		}
	}
	switch {
	case s.Tokens == nil:
		return nil, ""
	case q.Token == "" && s.TokenRequired:
		return nil, MissingToken
	case q.Token == "":
		return nil, ""
	}
	g, ok := s.Tokens.Read(s.Name, q.Token)
	if !ok {
		return nil, MismatchToken
	}
	return &g, ""
}

// owns reports whether a callback came by the address of its own job's submission. This is known as
// soon as the job's submitted event exists; before, the token alone shows that this program made
// the address.
func (s *Source) owns(ctx context.Context, g *Grant, e job.Event) (bool, error) {
	if g == nil || s.Submission == nil || e.Kind == job.Unrecognised {
		return true, nil
	}
	submission, known, err := s.Submission(ctx, e.Job.ID)
	return err == nil && (!known || submission == g.Submission), err
}

// examine checks an authentic callback before it is stored: whether its job is expected, and
// whether the platform confirms it. It notes the answer in the event, and returns the verdict under
// which the callback is stored as an attempt, or nothing.
func (s *Source) examine(ctx context.Context, e *job.Event) (aside string, err error) {
	if s.Expected != nil && e.Kind != job.Unrecognised {
		expected, err := s.Expected(ctx, e.Job.ID)
		if err != nil {
			return "", err
		}
		if e.Unexpected = !expected; e.Unexpected && s.Quarantine {
			return Quarantined, nil
		}
	}
	if s.Confirm != nil && e.Kind == job.Finished {
		confirmed, err := s.Confirm(ctx, e.Job)
		if err != nil || !confirmed {
			return Unconfirmed, err
		}
	}
	return "", nil
}
