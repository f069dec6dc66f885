package page

import (
	"fmt"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/words"
)

// checkWait is how long the page waits for a verification that it began. Most end in it.
const checkWait = 5 * time.Second

// proved is what the view of the logs shows.
type proved struct {
	Name   string
	Check  api.Verification
	Logs   []logCard
	Record string // that a certificate is asked for, and is none
}

// Intact reports whether the last verification found nothing wrong.
func (p proved) Intact() bool { return p.Check.Ok != nil && *p.Check.Ok }

// StreamOf is the stream of a log by its origin.
func (p proved) StreamOf(origin string) string { return origin[strings.LastIndexByte(origin, '/')+1:] }

// Percent is how far the verification is that runs.
func (p proved) Percent() int64 {
	return min(100*p.Check.Progress.Done/max(p.Check.Progress.Total, 1), 100)
}

// logCard is one log.
type logCard struct {
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

func newLogCard(l api.Log) logCard {
	c := logCard{Log: l, Cosigned: cosigned(l), Faults: l.Check.Faults[:min(len(l.Check.Faults), faultsShown)]}
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
func (c logCard) Behind(a api.AnchorReceipt) int64 { return max(c.Checkpoint.Size-a.Size, 0) }

// evidence shows the logs: how far each is intact, by whose word, and what is not covered. It is
// also where the name of a record is given for a certificate.
func (p *Page) evidence(v *visit) error {
	shown := proved{Record: strings.TrimSpace(v.r.URL.Query().Get("record"))}
	if id := strings.ToUpper(shown.Record); recordName.MatchString(id) {
		return v.back("/evidence/" + id)
	}
	all, err := client.Answer[api.Logs](v.api.GetLogs(v.r.Context()))
	if err != nil {
		return err
	}
	shown.Name, shown.Check = all.Name, all.Verification
	for _, l := range all.Logs {
		shown.Logs = append(shown.Logs, newLogCard(l))
	}
	return v.show("evidence", "Evidence", shown, "logs")
}

// verifyLogs has the receiver verify the logs.
func (p *Page) verifyLogs(v *visit) error {
	_, err := client.Answer[api.Verification](v.api.VerifyLogs(v.r.Context(), &api.VerifyLogsParams{Wait: checkWait.String()}))
	if err != nil {
		return err
	}
	return v.back("/evidence")
}
