package doctor

import (
	"fmt"
	"strings"

	"receiver/internal/words"
)

// Anchor is what a stream of checkpoints in another NATS account tells of itself.
type Anchor struct {
	// Where names it for people, Setting is its place in the configuration.
	Where, Setting string
	// Err is why it could not be asked; nil if it was.
	Err error
	// Ours is true if the account is that of the streams themselves.
	Ours bool
	// Weak are the settings that let the stream lose checkpoints.
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
			Severity: Error, What: fmt.Sprintf("the anchor %s does not answer: %v", a.Where, a.Err),
			Why: "it gets no checkpoints, and audit verify reports that", Setting: a.Setting, Change: "see docs/audit.md for the stream and the credentials",
		}}
	}
	var found []Finding
	add := func(wrong bool, severity Severity, what, why, change string) {
		if wrong {
			found = append(found, Finding{Severity: severity, What: "the anchor " + a.Where + " " + what, Why: why, Setting: a.Setting, Change: change})
		}
	}
	add(a.Ours, Error, "is in the account of the streams themselves", "an attacker who rolls back the streams can roll back the anchor too", "urls and credentials_file: those of an account with another owner")
	add(len(a.Weak) > 0, Error, "does not keep its checkpoints: "+strings.Join(a.Weak, ", "), "the receiver sends it no checkpoints", "ask the owner of the account to change the stream as described in docs/audit.md")
	add(a.Removed > 0, Error, "has lost "+words.Count(a.Removed, "message"), "an append-only stream never loses messages", "find out who removed them, and run `receiver audit verify`")
	add(a.MayRewrite, Warning, "may be removed with the receiver's credentials", "an attacker on the receiver could remove the checkpoints that contradict a rollback",
		"ask the owner of the account to allow only the subjects listed in docs/audit.md")
	add(!a.Known, Note, "does not report the permissions of the receiver's credentials", "they might allow the receiver to remove the stream", "allow them to publish on $SYS.REQ.USER.INFO, so that doctor can check this")
	if len(found) == 0 {
		found = []Finding{{What: "the anchor " + a.Where + " is append-only, and the receiver cannot remove it"}}
	}
	return found
}
