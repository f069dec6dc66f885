package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"receiver/internal/words"
)

// Platform is a source's place at the platform.
type Platform struct {
	Source, BaseURL string
	// Secrets says whether there is an element token and a user secret.
	Secrets bool
	// Objects asks the platform for its objects, and returns how many there are.
	Objects func(context.Context) (int, error)
	// Refused reports whether an error of Objects means that the secrets are wrong.
	Refused func(error) bool
}

// away is why it matters that the platform cannot be asked.
const away = "jobs can be neither submitted nor polled; callbacks are still received"

// Look asks the platform with the source's secrets.
func (p Platform) Look(ctx context.Context) []Finding {
	setting := "sources." + p.Source
	if !p.Secrets {
		return []Finding{{
			Severity: Note, What: "source " + p.Source + " has no element_token or no user_secret",
			Why:     "it receives callbacks, but can neither submit nor poll jobs",
			Setting: setting + ".element_token", Change: "element_token: env:ELEMENT_TOKEN",
		}}
	}
	n, err := p.Objects(ctx)
	switch {
	case err == nil:
		return []Finding{{What: fmt.Sprintf("source %s: the platform accepts the secrets and lists %s", p.Source, words.Count(n, "object"))}}
	case p.Refused(err):
		return []Finding{{
			Severity: Error, What: fmt.Sprintf("source %s: the platform refuses the secrets: %v", p.Source, err),
			Why:     "jobs can be neither submitted nor polled",
			Setting: setting + ".element_token", Change: "element_token and user_secret as the platform shows them for this instance",
		}}
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return []Finding{{
			Severity: Error, What: fmt.Sprintf("source %s: the certificate of %s is not trusted: %v", p.Source, p.BaseURL, err), Why: away,
			Setting: setting + ".tls.ca_file", Change: "ca_file: a PEM file with the authority of the certificate, if it is your own or that of your proxy",
		}}
	}
	return []Finding{{
		Severity: Error, What: fmt.Sprintf("source %s: %s does not answer: %v", p.Source, p.BaseURL, err), Why: away,
		Setting: setting + ".base_url", Change: "base_url: the address of your region; or allow this machine to connect to it",
	}}
}
