package page

import (
	"maps"
	"math"
	"slices"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/keyusage"
)

// sourceCard is a source as the overview shows it.
type sourceCard struct {
	api.SourceStatus
	// Refusals are what was refused, by reason, most first.
	Refusals []refusal
	// Since is when the process began to count.
	Since time.Time
}

type refusal struct {
	Reason string
	Count  int64
}

// State is the word for how the platform's retries are, and Class how it looks.
func (s sourceCard) State() string {
	switch {
	case s.GivenUp > 0:
		return "given up"
	case s.Failing > 0:
		return "repeated"
	case s.InARow > 0:
		return "refused"
	case s.Authentic.IsZero():
		return "nothing yet"
	}
	return "receiving"
}

// Class is how the state looks.
func (s sourceCard) Class() string {
	switch s.State() {
	case "given up":
		return "bad"
	case "repeated", "refused":
		return "mixed"
	case "receiving":
		return "good"
	}
	return ""
}

// sourceList is the block of the sources.
type sourceList struct {
	Cards []sourceCard
	Err   error
}

// Sources asks for the sources.
func (v *visit) Sources() sourceList {
	answer, err := client.Answer[api.Sources](v.api.ListSources(v.r.Context()))
	list := sourceList{Err: err}
	for _, s := range answer.Sources {
		c := sourceCard{SourceStatus: s, Since: answer.Since}
		for _, reason := range slices.Sorted(maps.Keys(s.RefusedBy)) {
			c.Refusals = append(c.Refusals, refusal{reason, s.RefusedBy[reason]})
		}
		slices.SortStableFunc(c.Refusals, func(a, b refusal) int { return int(b.Count - a.Count) })
		list.Cards = append(list.Cards, c)
	}
	return list
}

// sourceKeys is the view of the keys of one source.
type sourceKeys struct {
	Source string
	Keys   []keyBar
	// From is where the lines begin, which end now; zero if no key was ever used.
	From time.Time
}

// keyBar is a key with its place on the line of time.
type keyBar struct {
	keyusage.Use
	X, Width int
}

// chartWidth is the width of the lines, and thinnest that of a key that was used once.
const chartWidth, thinnest = 600, 4

// Width is that of the lines.
func (s sourceKeys) Width() int { return chartWidth }

// keys shows which signature key of a source was used when, and whether it can be removed.
func (p *Page) keys(v *visit) error {
	name := v.r.PathValue("source")
	answer, err := client.Answer[api.Keys](v.api.ListKeys(v.r.Context(), &api.ListKeysParams{Source: name}))
	if err != nil {
		return err
	}
	if len(answer.Keys) == 0 {
		return api.UnknownSource.Problem("there is no key of a source %q", name)
	}
	return v.show("keys", "Keys of "+name, drawKeys(name, answer.Keys, time.Now()))
}

// drawKeys places the keys on a line of time.
func drawKeys(source string, keys []keyusage.Use, now time.Time) sourceKeys {
	s := sourceKeys{Source: source}
	for _, k := range keys {
		if !k.First.IsZero() && (s.From.IsZero() || k.First.Before(s.From)) {
			s.From = k.First
		}
	}
	whole := max(now.Sub(s.From), time.Second)
	for _, k := range keys {
		b := keyBar{Use: k}
		if !k.First.IsZero() {
			part := func(d time.Duration) int { return int(math.Round(float64(d) / float64(whole) * chartWidth)) }
			b.X = min(part(k.First.Sub(s.From)), chartWidth-thinnest)
			b.Width = min(max(thinnest, part(k.Last.Sub(k.First))), chartWidth-b.X)
		}
		s.Keys = append(s.Keys, b)
	}
	return s
}
