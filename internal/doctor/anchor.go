package doctor

import (
	"fmt"
	"strings"
)

// Anchor is what a stream of checkpoints in another NATS account tells of itself.
type Anchor struct {
	// Where names it for people, Setting is its place in the configuration.
	Where, Setting string
	// Err is why it could not be asked; nil if it was.
	Err error
	// Ours is true if the account is that of the streams themselves.
	Ours bool
	// Weak are the settings that let the stream lose what it is told.
	Weak []string
	// MayRewrite is true if the receiver's credentials may remove the stream or change its
	// limits; Known is false if the server does not tell.
	MayRewrite, Known bool
	// Removed is how many messages it once held and does not any more.
	Removed uint64
}

// Findings judges whether the anchor would name a history that was rewritten.
func (a Anchor) Findings() []Finding {
	if a.Err != nil {
		return []Finding{{
			Severity: Error, What: fmt.Sprintf("the anchor %s cannot be asked: %v", a.Where, a.Err),
			Why: "it is told nothing, and audit verify reports it", Setting: a.Setting, Change: "see docs/audit.md for the stream and the credentials",
		}}
	}
	var found []Finding
	add := func(wrong bool, severity Severity, what, why, change string) {
		if wrong {
			found = append(found, Finding{Severity: severity, What: "the anchor " + a.Where + " " + what, Why: why, Setting: a.Setting, Change: change})
		}
	}
	add(a.Ours, Error, "is in the account of the streams themselves", "who rolls them back can roll it back too", "urls and credentials_file: those of an account that others own")
	add(len(a.Weak) > 0, Error, "does not keep what it is told: "+strings.Join(a.Weak, ", "), "so it is told nothing", "have the owner of the account change the stream as docs/audit.md tells")
	add(a.Removed > 0, Error, fmt.Sprintf("has lost %d messages", a.Removed), "an append-only stream never does", "find out who removed them, and run `receiver audit verify`")
	add(a.MayRewrite, Warning, "may be removed with the receiver's credentials", "who takes over the receiver can then remove what contradicts a rollback",
		"have the owner of the account allow only the subjects that docs/audit.md lists")
	add(!a.Known, Note, "does not tell what the receiver's credentials may", "they could allow to remove it", "let them publish on $SYS.REQ.USER.INFO, so that this can be looked at")
	if len(found) == 0 {
		found = []Finding{{What: "the anchor " + a.Where + " is append-only, and the receiver cannot remove it"}}
	}
	return found
}
