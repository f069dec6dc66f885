package audit

import (
	"strings"
)

// DamageError is what a Source returns, after everything it could read, when some of what
// it keeps records in is damaged. A verification reports the places and goes on; everybody
// else stops.
type DamageError struct {
	Places []string // one line each: where, and what is wrong
}

func (e *DamageError) Error() string {
	return "records cannot be read: " + strings.Join(e.Places, "; ")
}
