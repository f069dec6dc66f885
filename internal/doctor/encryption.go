package doctor

import "fmt"

// Encryption is whether bodies are encrypted, and who can read them.
type Encryption struct {
	// Recipients is how many keys bodies are encrypted to; Identity is whether there is one
	// to read them with, and Readable whether it is one of the recipients'.
	Recipients         int
	Identity, Readable bool
	// Aside are sources that put callbacks aside.
	Aside []string
}

// Findings judges it.
func (e Encryption) Findings() []Finding {
	const identity = "encryption.identity"
	switch {
	case e.Recipients == 0 && e.Identity:
		return []Finding{{
			Severity: Note, What: "bodies are stored in clear, though there is an identity to decrypt them with",
			Why:     "it reads what was encrypted before; what comes now is not",
			Setting: "encryption.recipients", Change: "recipients: [the public key of the identity]; or remove the identity when nothing encrypted is left",
		}}
	case e.Recipients == 0:
		return nil
	}
	var found []Finding
	if e.Recipients == 1 {
		found = append(found, Finding{
			Severity: Note, What: "bodies are encrypted to one key only",
			Why:     "with its identity lost, every body is",
			Setting: "encryption.recipients", Change: "recipients: a second one, whose identity is kept in a safe",
		})
	}
	switch {
	case !e.Identity:
		found = append(found, Finding{
			Severity: Note, What: fmt.Sprintf("bodies are encrypted to %s, and nothing here can read them", keys(e.Recipients)),
			Why: "so who takes this machine gets none; `audit verify` leaves their signatures unchecked, and `audit show`, `audit reverify`, " +
				"`jobs release` and `jobs errors` have nothing to read",
			Change: "--identity-file with these commands, from where the identity is kept",
		})
		for _, source := range e.Aside {
			found = append(found, Finding{
				Severity: Warning, What: fmt.Sprintf("source %s puts callbacks aside, and their bodies cannot be read again here", source),
				Why:     "one that overtook the answer to its submission is not released when that comes; its job ends when the platform is asked after it",
				Setting: identity, Change: "identity: file:identity.txt, or unexpected_jobs: accept at the source",
			})
		}
	case !e.Readable:
		found = append(found, Finding{
			Severity: Warning, What: "bodies are encrypted to other keys than that of the identity",
			Why:     "what is stored from now on cannot be read here",
			Setting: identity, Change: "identity: that of one of the recipients, or add its public key to them",
		})
	default:
		found = append(found, Finding{What: fmt.Sprintf("bodies are encrypted to %s, and can be read here", keys(e.Recipients))})
	}
	return found
}

func keys(n int) string {
	if n == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", n)
}
