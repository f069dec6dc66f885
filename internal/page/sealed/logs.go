// Package sealed decides what the page says of the sealed logs: of each log a sentence, and of its
// checkpoints a chart that breaks cut. It asks nothing, and writes no HTML.
package sealed

import (
	"fmt"
	"strings"

	"receiver/api"
	"receiver/internal/words"
)

// Overview is what the view of the logs shows.
type Overview struct {
	Name  string
	Check api.Verification
	Logs  []LogCard
	// Record is what was given as the name of a record, and is none.
	Record string
}

// NewOverview returns what is shown of the logs.
func NewOverview(all api.Logs) Overview {
	o := Overview{Name: all.Name, Check: all.Verification}
	for _, l := range all.Logs {
		o.Logs = append(o.Logs, newLogCard(l))
	}
	return o
}

// Intact reports whether the last verification found nothing wrong.
func (p Overview) Intact() bool { return p.Check.Ok != nil && *p.Check.Ok }

// StreamOf is the stream of a log by its origin.
func (p Overview) StreamOf(origin string) string {
	return origin[strings.LastIndexByte(origin, '/')+1:]
}

// Percent is how far the verification is that runs.
func (p Overview) Percent() int64 {
	return min(100*p.Check.Progress.Done/max(p.Check.Progress.Total, 1), 100)
}

// LogCard is one log.
type LogCard struct {
	api.Log
	// Word and Class are the verdict, and Says is it in a sentence, but for when it was checked.
	Word, Class, Says string
	// Cosigned says by which witnesses.
	Cosigned string
	Faults   []api.LogFault
	More     int // further faults
}

// faultsShown is how many faults of a log a page has.
const faultsShown = 20

func newLogCard(l api.Log) LogCard {
	c := LogCard{Log: l, Cosigned: cosigned(l), Faults: l.Check.Faults[:min(len(l.Check.Faults), faultsShown)]}
	c.More = len(l.Check.Faults) - len(c.Faults) + l.Check.Omitted
	checked, faults := !l.Check.Time.IsZero(), len(l.Check.Faults)+l.Check.Omitted
	switch {
	case l.Fork:
		c.Word, c.Class, c.Says = "fork", "bad", "It contradicts itself, and is sealed no more"
	case l.Damage != "":
		c.Word, c.Class, c.Says = "damaged", "bad", "Its newest checkpoint cannot be believed: "+l.Damage
	case checked && faults > 0:
		c.Word, c.Class, c.Says = "not intact", "bad", "Not intact: "+words.Count(faults, "fault")
	case checked && !l.Check.Ok:
		c.Word, c.Class, c.Says = "not proved", "bad", "Nothing of it is proved"
	case checked && l.Check.Size == 0:
		c.Word, c.Class, c.Says = "intact", "good", "Intact, and empty"
	case checked:
		c.Word, c.Class, c.Says = "intact", "good", fmt.Sprintf("Intact up to record %d", l.Check.Size)
	case l.Checkpoint.Size > 0:
		c.Word, c.Class, c.Says = "not checked", "mixed", fmt.Sprintf("Sealed up to record %d", l.Checkpoint.Size)
	default:
		c.Word, c.Class, c.Says = "not checked", "mixed", "Nothing is sealed"
	}
	return c
}

// cosigned says how many witnesses have cosigned the log, and up to where if not all that is said.
func cosigned(l api.Log) string {
	n, least := 0, int64(0)
	for _, w := range l.Witnesses {
		if w.Size > 0 {
			if n++; n == 1 || w.Size < least {
				least = w.Size
			}
		}
	}
	said := l.Check.Size
	if l.Check.Time.IsZero() {
		said = l.Checkpoint.Size
	}
	of := words.Count(n, "witness")
	if n != 1 {
		of = fmt.Sprintf("%d witnesses", n)
	}
	switch {
	case len(l.Witnesses) == 0:
		return "no witness is configured"
	case n < len(l.Witnesses):
		of = fmt.Sprintf("%d of %d witnesses", n, len(l.Witnesses))
	}
	if n > 0 && least < said {
		return fmt.Sprintf("cosigned by %s up to record %d", of, least)
	}
	return "cosigned by " + of
}

// Behind is how many records an anchor lacks.
func (c LogCard) Behind(a api.AnchorReceipt) int64 { return max(c.Checkpoint.Size-a.Size, 0) }
