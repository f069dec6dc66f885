package job

import (
	"fmt"
	"strings"
	"time"
)

// Dating is what a message of JOBS, ATTEMPTS or ACTIONS says of when it was made; what it does not
// say is zero.
type Dating struct {
	// Source, Verdict and Body are as those of an Arrival, Evidence is that of an event, and
	// Action the word of an action.
	Source, Verdict, Body string
	Evidence              Evidence
	Action                string
	// Received is when the callback had arrived, and Time when an event or an action says that
	// it was known or about to be done.
	Received, Time time.Time
	// Edge is when an edge stored the record that this one was made from.
	Edge time.Time
}

// ReadDating reads the times that a message names. It returns an error for a time in another form
// than this program's, and nothing of an action that it did not write.
func ReadDating(subject string, header map[string][]string, data []byte) (d Dating, err error) {
	get := LookupIn(header)
	prefix, rest, _ := strings.Cut(subject, ".")
	d.Source, rest, _ = strings.Cut(rest, ".") // not validated, for there are very many
	switch prefix + "." {
	case ActionsPrefix:
		a, err := ParseAction(subject, data)
		if err != nil {
			return Dating{}, nil //nolint:nilerr // it is another's
		}
		d = Dating{Action: a.What, Time: a.Time}
	case AttemptsPrefix:
		d.Verdict = rest
	default:
		d.Evidence = Evidence(get(HeaderEvidence))
	}
	d.Body = get(HeaderBody)
	if text := get(headerReceived); text != "" {
		if d.Received, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return d, fmt.Errorf("its header %s is not of the form %s", headerReceived, time.RFC3339)
		}
	}
	if text := get(headerTime); text != "" {
		if d.Time, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return d, fmt.Errorf("its header %s is not of the form %s", headerTime, time.RFC3339)
		}
	}
	e, _, err := ParseEdge(header)
	d.Edge = e.Stored
	return d, err
}
