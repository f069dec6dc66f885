package auditlog

import (
	"iter"
	"time"
)

// Merge gives the items of several streams, each in the order of its stream, in the order
// of their times; of those with one time, an earlier stream's first. The first error ends it.
func Merge[T any](at func(T) time.Time, streams ...iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		heads := make([]head[T], 0, len(streams))
		for _, s := range streams {
			next, stop := iter.Pull2(s)
			defer stop()
			h := head[T]{next: next}
			h.advance()
			heads = append(heads, h)
		}
		for {
			least := -1
			for i, h := range heads {
				if h.err != nil {
					yield(h.item, h.err)
					return
				}
				if h.more && (least < 0 || at(h.item).Before(at(heads[least].item))) {
					least = i
				}
			}
			if least < 0 || !yield(heads[least].item, nil) {
				return
			}
			heads[least].advance()
		}
	}
}

// head is a stream and the item that is next in it.
type head[T any] struct {
	next func() (T, error, bool)
	item T
	err  error
	more bool
}

func (h *head[T]) advance() { h.item, h.err, h.more = h.next() }
