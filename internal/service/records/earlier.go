package records

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/diagnose"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// The bounds of what a signature is compared with.
const (
	historyMessages = 1000 // newest messages of each stream that are looked at
	historyKept     = 200  // newest callbacks of the source among those of a stream
	historyBody     = 64 << 10
)

// kept is a callback that a stream holds.
type kept struct {
	at       time.Time
	callback diagnose.Earlier
}

// Earlier returns the newest callbacks of a source whose bodies the streams hold whole,
// newest first. On an error it returns those that were read before it.
func Earlier(ctx context.Context, bus *publish.Store, source string) ([]diagnose.Earlier, error) {
	var all []kept
	var failed error
	for _, stream := range []string{conn.JobsStream, conn.AttemptsStream} {
		var held []kept
		last, err := bus.LastSequence(ctx, stream)
		if err == nil {
			from := max(last, historyMessages) - historyMessages + 1
			err = bus.Range(ctx, stream, from, last, func(m publish.Message) error {
				if job.Encrypted(m.Header) {
					m.Data, _ = bus.Body(ctx, m) // what stays hidden has another digest
				}
				if e, ok := callbackOf(m, source); ok {
					held = append(held, kept{m.Time, e})
				}
				if len(held) > historyKept {
					held = slices.Delete(held, 0, 1)
				}
				return nil
			})
		}
		all = append(all, held...)
		if err != nil {
			failed = fmt.Errorf("reading the callbacks of %s: %w", source, err)
		}
	}
	slices.SortStableFunc(all, func(a, b kept) int { return b.at.Compare(a.at) })
	var newest []diagnose.Earlier
	for _, k := range all {
		newest = append(newest, k.callback)
	}
	return newest, failed
}

// callbackOf reads a callback of a source out of a message, if its body is there and not
// too large.
func callbackOf(m publish.Message, source string) (diagnose.Earlier, bool) {
	kind, rest, _ := strings.Cut(m.Subject, ".")
	get := func(name string) string { return strings.Join(m.Header[name], "") }
	signature := get(job.HeaderSignature)
	if !strings.HasPrefix(rest, source+".") || signature == "" || len(m.Data) > historyBody ||
		get(job.HeaderBody) != job.BodySHA256(m.Data) {
		return diagnose.Earlier{}, false
	}
	what := "event"
	if kind == "attempts" {
		what = "attempt"
	}
	return diagnose.Earlier{
		Label:  fmt.Sprintf("%s %d on %s of %s", what, m.Sequence, m.Subject, m.Time.UTC().Format(time.RFC3339)),
		Values: []string{signature}, Body: m.Data,
	}, true
}
