// Package when reads the times that people give to commands and to the API: moments, and durations
// before now. It imports the standard library only.
package when

import (
	"fmt"
	"time"
)

// Parse reads a duration before now, or a moment in RFC 3339.
func Parse(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%q is neither a duration such as 24h nor a time such as 2026-11-23T00:00:00Z", text)
	}
	return t, nil
}

// ParseSince reads a time as Parse does; all is the zero time, and nothing is now.
func ParseSince(text string, now time.Time) (time.Time, error) {
	switch text {
	case "all":
		return time.Time{}, nil
	case "":
		return now, nil
	}
	return Parse(text, now)
}
