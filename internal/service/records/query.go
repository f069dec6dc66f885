package records

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"receiver/internal/auditlog"
)

// Query says which entries are wanted: the flags of audit list, and the parameters of GET
// /v1/callbacks.
type Query struct {
	// Since and Until bound when a record was stored: a duration before now, a time, or all. An
	// empty Until is none.
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

// Parse completes the filter. An error begins with the name of what is wrong.
func (q *Query) Parse(now time.Time) (err error) {
	if q.Filter.Since, err = ParseSince(q.Since, now); err != nil {
		return fmt.Errorf("since %w", err)
	}
	if q.Until != "" {
		if q.Filter.Until, err = ParseSince(q.Until, now); err != nil {
			return fmt.Errorf("until %w", err)
		}
	}
	for _, text := range q.Addresses {
		network, err := auditlog.ParseNetwork(text)
		if err != nil {
			return fmt.Errorf("address %q is neither an address such as 192.0.2.7 nor a network such as 192.0.2.0/24", text)
		}
		q.Filter.Networks = append(q.Filter.Networks, network)
	}
	return nil
}

// ParseSince reads a time as ParseTime does; all is the zero time, and nothing is now.
func ParseSince(text string, now time.Time) (time.Time, error) {
	switch text {
	case "all":
		return time.Time{}, nil
	case "":
		return now, nil
	}
	return ParseTime(text, now)
}

// ParseTime reads a duration before now, or a moment.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a duration such as 24h nor a time such as 2026-11-23T00:00:00Z", text)
	}
	return t, nil
}

// The entries of a page of GET /v1/callbacks.
const (
	pageSize    = 100
	pageMaximum = 1000
)

// parsePageQuery reads the parameters of GET /v1/callbacks. One that it does not know is
// an error: a filter that was misspelt would show what was not asked for.
func parsePageQuery(query url.Values, now time.Time) (Query, error) {
	q := Query{Since: "24h", Limit: pageSize, after: map[string]uint64{}}
	for name, values := range query {
		if err := q.set(name, values); err != nil {
			return q, err
		}
	}
	return q, q.Parse(now)
}

func (q *Query) set(name string, values []string) (err error) {
	last := values[len(values)-1]
	switch name {
	case "since":
		q.Since = last
	case "until":
		q.Until = last
	case "source":
		q.Filter.Sources = values
	case "verdict":
		q.Filter.Verdicts = values
	case "reason":
		q.Filter.Reasons = values
	case "address":
		q.Addresses = values
	case "key":
		q.Filter.Keys = values
	case "job":
		q.Filter.Jobs = values
	case "body":
		q.Filter.Bodies = values
	case "actions":
		q.Actions, err = strconv.ParseBool(last)
	case "limit":
		q.Limit, err = strconv.Atoi(last)
		if err == nil && (q.Limit < 1 || q.Limit > pageMaximum) {
			err = fmt.Errorf("limit is not 1 to %d", pageMaximum)
		}
	case "after":
		q.after, err = parseCursor(last)
	default:
		err = fmt.Errorf("unknown parameter %q", name)
	}
	return err
}
