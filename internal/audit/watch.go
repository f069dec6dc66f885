package audit

import (
	"context"
	"fmt"
)

// watch looks at what a sealer seals. A round that is lost to another sealer is repeated, so it
// remembers what it has seen.
type watch struct {
	o       SealerOptions
	stream  string
	headers headers
	clock   Clock
	seen    uint64 // the newest sequence
	older   uint64 // a record that was there; 0 for none
	gone    uint64 // the newest absent sequence
}

func (w *watch) odd(seq uint64, kind Kind, detail string) {
	w.o.Odd(Fault{Stream: w.stream, Seq: seq, Kind: kind, Detail: detail})
}

// last takes the last sealed record, which is still there.
func (w *watch) last(r Record) {
	w.older = r.Seq
	if r.Seq > w.seen {
		w.seen, w.clock = r.Seq, Clock{Latest: r.Time, Seq: r.Seq}
	}
}

// record looks at a record that is about to be sealed.
func (w *watch) record(r Record) {
	if w.older == 0 {
		w.older = r.Seq
	}
	if w.o.Odd == nil || r.Seq <= w.seen {
		return
	}
	w.seen = r.Seq
	why := w.clock.Back(r)
	if why == "" {
		why = Future(r)
	}
	if why == "" && w.o.Inspect != nil {
		if err := w.o.Inspect(w.headers.whole(r)); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		w.odd(r.Seq, Misdated, why)
	}
}

// gaps looks at the sequences that are about to be sealed as absent.
func (w *watch) gaps(ctx context.Context, l *Log, gaps [][2]uint64) error {
	for _, gap := range gaps {
		if w.o.Odd == nil || gap[1] <= w.gone {
			continue
		}
		w.gone = gap[1]
		why := "nothing removes records from this stream"
		if w.o.Limited {
			older, err := w.there(ctx, l, gap[0])
			if err != nil {
				return err
			}
			if !older {
				continue
			}
			why = fmt.Sprintf("limits remove the oldest records only, and sequence %d is still there", w.older)
		}
		w.odd(gap[0], Gone, fmt.Sprintf("the records up to sequence %d were removed before they were sealed: %s", gap[1], why))
	}
	return nil
}

// there reports whether a record from before a sequence still is there.
func (w *watch) there(ctx context.Context, l *Log, before uint64) (found bool, err error) {
	if w.older == 0 || w.older >= before {
		return false, nil
	}
	err = l.o.Source.Records(ctx, w.older, w.older, func(Record) error {
		found = true
		return nil
	})
	if !found {
		w.older = 0
	}
	return found, err
}
