package trail

import (
	"iter"
)

// Merge gives the entries of several streams, each in the order of its stream, in the order
// in which they were stored. The first error ends it.
func Merge(streams ...iter.Seq2[Entry, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		heads := make([]head, 0, len(streams))
		for _, s := range streams {
			next, stop := iter.Pull2(s)
			defer stop()
			h := head{next: next}
			h.advance()
			heads = append(heads, h)
		}
		for {
			least := -1
			for i, h := range heads {
				if h.err != nil {
					yield(Entry{}, h.err)
					return
				}
				if h.more && (least < 0 || h.entry.Stored.Before(heads[least].entry.Stored)) {
					least = i
				}
			}
			if least < 0 || !yield(heads[least].entry, nil) {
				return
			}
			heads[least].advance()
		}
	}
}

// head is a stream and the entry that is next in it.
type head struct {
	next  func() (Entry, error, bool)
	entry Entry
	err   error
	more  bool
}

func (h *head) advance() { h.entry, h.err, h.more = h.next() }
