package show

import (
	"fmt"
	"time"

	"receiver/internal/job"
	"receiver/internal/service/records"
)

// Message prints a message of a stream.
func (p Printer) Message(m records.Message) error {
	at, err := time.Parse(time.RFC3339Nano, m.Headers["ce-time"]) // by HTTP there is no other
	if err != nil {
		at = m.Stored
	}
	return p.Line(m, fmt.Sprintf("%s  %6d  %s  %s  %s", Moment(at), m.Sequence, m.Subject, shown(m.Headers[job.HeaderResult]), shown(m.Headers[job.HeaderFingerprint])))
}
