package traffic

import (
	"slices"
	"strings"
	"time"

	"receiver/internal/job"
)

// The distinct sources and verdicts that a tally tells apart; others count as one. Only other
// clients of the NATS account can reach these numbers.
const (
	mostSources  = 256
	mostVerdicts = 64
)

// other is the verdict of callbacks whose verdicts are too many, all refused.
const other = "other"

// tally are the counts of one stream: by minute, since 1970, by number of the source, and by number
// of the verdict.
type tally struct {
	minutes           map[int64]map[uint16][]uint32
	sources, verdicts words       // what was read
	named             [2][]string // the sources and verdicts of what was counted
}

func newTally() tally {
	return tally{
		minutes: map[int64]map[uint16][]uint32{},
		sources: words{most: mostSources, rest: job.NoSource}, verdicts: words{most: mostVerdicts, rest: other},
	}
}

// arrival is what a tally counts of a message.
type arrival struct {
	minute          int64
	source, verdict uint16
	count           uint32
}

// mostRepeats bounds how many callbacks one message stands for.
const mostRepeats = 1 << 24

// read reads the headers of a message that was stored at a time, and reports false for one that
// came by no callback.
func (t *tally) read(subject string, get job.Lookup, stored time.Time) (arrival, bool) {
	a, ok := job.ReadArrivalBy(subject, get)
	if !ok {
		return arrival{}, false
	}
	verdict := a.Verdict
	if verdict == "" {
		if verdict = accepted; a.Job == "" {
			verdict = unrecognised
		}
	}
	return arrival{minuteOf(stored), t.sources.number(a.Source), t.verdicts.number(verdict), uint32(min(max(a.Repeats, 1), mostRepeats))}, true
}

// add counts.
func (t *tally) add(all []arrival) {
	t.named = [2][]string{t.sources.names, t.verdicts.names}
	for _, a := range all {
		minute := t.minutes[a.minute]
		if minute == nil {
			minute = map[uint16][]uint32{}
			t.minutes[a.minute] = minute
		}
		counts := minute[a.source]
		for int(a.verdict) >= len(counts) {
			counts = append(counts, 0)
		}
		counts[a.verdict] += a.count
		minute[a.source] = counts
	}
}

// each calls do for the counts of sources, all if there are none, from a minute on.
func (t *tally) each(from int64, sources []string, do func(minute int64, verdict string, n int64)) {
	for minute, of := range t.minutes {
		if minute < from {
			continue
		}
		for source, counts := range of {
			if len(sources) > 0 && !slices.Contains(sources, t.named[0][source]) {
				continue
			}
			for verdict, n := range counts {
				if n > 0 {
					do(minute, t.named[1][verdict], int64(n))
				}
			}
		}
	}
}

// prune forgets what is farther than a day from a time, and an hour.
func prune[V any](minutes map[int64]V, now time.Time) {
	for minute := range minutes {
		if d := minuteOf(now) - minute; d > mostMinutes+60 || -d > mostMinutes {
			delete(minutes, minute)
		}
	}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// words numbers words, the first 0, up to a number of them; one word stands for the rest.
type words struct {
	most    int
	rest    string
	names   []string
	numbers map[string]uint16
}

func (w *words) number(word string) uint16 {
	if n, known := w.numbers[word]; known {
		return n
	}
	if w.numbers == nil {
		w.names, w.numbers = []string{w.rest}, map[string]uint16{w.rest: 0}
	}
	if len(w.names) == w.most || word == w.rest {
		return 0
	}
	word = strings.Clone(word) // its memory is that of a file
	n := uint16(len(w.names))
	w.names, w.numbers[word] = append(w.names, word), n
	return n
}
