package records

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/when"
)

// DefaultSince is how far back a query reaches that does not say it.
const DefaultSince = "24h"

// Query says which entries are wanted: the flags of audit list, and the parameters of GET
// /v1/callbacks.
type Query struct {
	// Since and Until bound when a record was stored: a duration before now, a time, or all. An
	// empty Since is DefaultSince, and an empty Until is none.
	Since, Until string
	// Addresses are addresses or networks that callbacks came from.
	Addresses []string
	// Filter is the rest; Parse completes it.
	Filter auditlog.Filter
	// Actions are wanted, too.
	Actions bool
	// Limit is how many are wanted; the reader of Entries counts.
	Limit int
	after map[string]uint64 // sequence that a stream was read up to
}

// digest is a SHA-256 in hexadecimal, or its first digits.
var digest = regexp.MustCompile(`^[0-9A-Fa-f]{1,64}$`)

// Parse completes the filter. An error begins with the name of what is wrong.
func (q *Query) Parse(now time.Time) (err error) {
	if q.Filter.Since, err = when.ParseSince(cmp.Or(q.Since, DefaultSince), now); err != nil {
		return fmt.Errorf("since %w", err)
	}
	if q.Until != "" {
		if q.Filter.Until, err = when.ParseSince(q.Until, now); err != nil {
			return fmt.Errorf("until %w", err)
		}
		if q.Filter.Until.Before(q.Filter.Since) {
			return fmt.Errorf("until %s is before since %s: no record is between them", q.Until, cmp.Or(q.Since, DefaultSince))
		}
	}
	if q.Limit < 0 {
		return fmt.Errorf("limit %d is less than 0", q.Limit)
	}
	for _, b := range q.Filter.Bodies {
		if !digest.MatchString(b) {
			return fmt.Errorf("body %.70q is neither a SHA-256 in hexadecimal nor its first digits", b)
		}
	}
	for _, text := range q.Addresses {
		network, err := auditlog.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("address %q is neither an address such as 192.0.2.7 nor a network such as 192.0.2.0/24", text)
		}
		q.Filter.Networks = append(q.Filter.Networks, network)
	}
	return q.checkWords()
}

// streams are those that the query wants entries of.
func (q *Query) streams() []string {
	return slices.DeleteFunc(slices.Clone(logs.Streams), func(s string) bool { return s == conn.ActionsStream && !q.Actions })
}

// read are those of the streams that can hold what the query wants.
func (q *Query) read() []string {
	only := func(words, of []string) bool {
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(of, w) })
	}
	f := q.Filter
	return slices.DeleteFunc(q.streams(), func(stream string) bool {
		switch stream {
		case conn.JobsStream:
			return f.OnlyActions() || only(f.Verdicts, attempted) || only(f.Reasons, refusals)
		case conn.AttemptsStream:
			return f.OnlyActions() || only(f.Verdicts, []string{auditlog.Accepted, auditlog.Unrecognised, auditlog.Action})
		}
		return false
	})
}

// attempted are the verdicts on what is not in JOBS.
var attempted = append(slices.Clone(refusals), auditlog.Refused, job.Duplicate, job.Late, job.Quarantined, job.Unconfirmed, auditlog.Action)

// Parameters returns the query as parameters of GET /v1/callbacks.
func (q *Query) Parameters() api.ListCallbacksParams {
	f := q.Filter
	return api.ListCallbacksParams{
		Since: q.Since, Until: q.Until, Address: q.Addresses, Actions: q.Actions,
		Source: f.Sources, Verdict: f.Verdicts, Reason: f.Reasons, Key: f.Keys, Job: f.Jobs, Body: f.Bodies, Action: f.Actions, Operator: f.Operators,
	}
}
