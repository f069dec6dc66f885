package doctor

import (
	"fmt"

	"receiver/internal/words"
)

// Encryption is whether bodies are encrypted, and who can read them.
type Encryption struct {
	// Recipients is how many keys bodies are encrypted to; Identity is whether there is one
	// to read them with, and Readable whether it is one of the recipients'.
	Recipients         int
	Identity, Readable bool
	// Aside are sources that quarantine callbacks.
	Aside []string
}

// Findings judges it.
func (e Encryption) Findings() []Finding {
	const identity = "encryption.identity"
	switch {
	case e.Recipients == 0 && e.Identity:
		return []Finding{{
			Severity: Note, What: "bodies are stored without encryption, although an identity is configured",
			Why:     "the identity decrypts earlier bodies; new bodies are not encrypted",
			Setting: "encryption.recipients", Change: "recipients: [the public key of the identity]; or remove the identity when no encrypted body is left",
		}}
	case e.Recipients == 0:
		return nil
	}
	var found []Finding
	if e.Recipients == 1 {
		found = append(found, Finding{
			Severity: Note, What: "bodies are encrypted to only one key",
			Why:     "if its identity is lost, all bodies are lost",
			Setting: "encryption.recipients", Change: "recipients: add a second one, and keep its identity in a safe place",
		})
	}
	switch {
	case !e.Identity:
		found = append(found, Finding{
			Severity: Note, What: fmt.Sprintf("bodies are encrypted to %s, and cannot be decrypted here", words.Count(e.Recipients, "key")),
			Why: "an attacker on this machine cannot read them; but `audit verify` does not check their signatures, and `audit show`, " +
				"`audit reverify`, `jobs release` and `jobs errors` cannot read them",
			Change: "give these commands --identity-file",
		})
		for _, source := range e.Aside {
			found = append(found, Finding{
				Severity: Warning, What: fmt.Sprintf("source %s quarantines callbacks, and their bodies cannot be decrypted here", source),
				Why:     "a callback that arrives before the response to its submission is not released; its job is finished by polling the platform",
				Setting: identity, Change: "identity: file:identity.txt, or unexpected_jobs: accept at the source",
			})
		}
	case !e.Readable:
		found = append(found, Finding{
			Severity: Warning, What: "the identity belongs to none of the recipients",
			Why:     "new bodies cannot be decrypted here",
			Setting: identity, Change: "identity: that of one of the recipients; or add its public key to the recipients",
		})
	default:
		found = append(found, Finding{What: "bodies are encrypted to " + words.Count(e.Recipients, "key") + ", and can be decrypted here"})
	}
	return found
}
