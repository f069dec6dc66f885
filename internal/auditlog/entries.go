package auditlog

import (
	"iter"
	"time"

	"receiver/internal/audit"
)

// ReadStream gives the records of a stream, with or without their data, in its order: those
// behind the sequence after, or, if that is 0, those stored since a time.
type ReadStream func(stream string, since time.Time, after uint64) iter.Seq2[audit.Record, error]

// Entries gives what streams hold and a filter wants, in the order in which it was stored.
// Of a stream that is in after, it begins behind that sequence.
func Entries(read ReadStream, streams []string, f Filter, after map[string]uint64) iter.Seq2[Entry, error] {
	all := make([]iter.Seq2[Entry, error], 0, len(streams))
	for _, stream := range streams {
		all = append(all, f.entries(read(stream, f.Since, after[stream])))
	}
	return Merge(func(e Entry) time.Time { return e.Stored }, all...)
}

// entries gives the entries among the records of one stream.
func (f Filter) entries(records iter.Seq2[audit.Record, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for r, err := range records {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !f.Until.IsZero() && !r.Time.Before(f.Until) {
				return
			}
			e, ok := Read(r)
			if !ok && f.Events {
				e, ok = ReadAny(r), true
			}
			if ok && f.Match(e) && !yield(e, nil) {
				return
			}
		}
	}
}
