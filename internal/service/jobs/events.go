package jobs

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Events follows the events of one receiver. It is an apiserver.Feed. It reads new events once, for
// all who follow: reading them as often would take the store's time from callbacks. It is safe for
// concurrent use.
type Events struct {
	store   *publish.Store
	sources func() []string
	log     zerolog.Logger

	mu      sync.Mutex
	readers int
	recent  *window // nil without readers
	stop    func()  // ends the reading of new events, and waits for that
}

// NewEvents returns the events of a store. Sources returns the names of the configured sources.
func NewEvents(store *publish.Store, sources func() []string, log zerolog.Logger) *Events {
	return &Events{store: store, sources: sources, log: log}
}

// Follow implements apiserver.Feed.
func (e *Events) Follow(ctx context.Context, f api.Follow) (iter.Seq[api.Followed], error) {
	known := e.sources()
	for _, name := range f.Sources {
		if !slices.Contains(known, name) {
			return nil, api.BadRequest.Problem("no source %q is configured; the sources are %s", name, strings.Join(known, ", "))
		}
	}
	held, err := e.store.Extent(ctx, conn.JobsStream)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Behind && f.After > held.Last:
		return nil, api.AheadOfStream.Problem("the stream ends at sequence %d, before %d: that event is of another store; begin anew with since", held.Last, f.After)
	case !f.Behind && f.Since.IsZero():
		f.After = held.Last
	case !f.Behind:
		first, err := e.store.SequenceSince(ctx, f.Since)
		if err != nil {
			return nil, err
		}
		f.After = first - 1
	}
	return func(yield func(api.Followed) bool) {
		begin := api.Followed{Sequence: f.After}
		if f.After+1 < held.First { // nothing may come for a long time, and the loss is known now
			begin = lost(f.After+1, held.First-1)
		}
		if !yield(begin) {
			return
		}
		recent, leave := e.join(held.Last)
		defer leave()
		r := following{e, f, begin.Sequence, yield}
		for r.on(ctx, recent) {
		}
	}, nil
}

// join returns the window of new events, which begins behind a sequence if there is none.
func (e *Events) join(last uint64) (recent *window, leave func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.recent == nil || e.recent.over() {
		if e.stop != nil {
			e.stop() // it has ended
		}
		w := newWindow(last)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer w.end()
			for s := range e.read(ctx, last) {
				w.add(s)
			}
		}()
		e.recent, e.stop = w, func() { cancel(); <-done }
	}
	e.readers++
	return e.recent, e.leave
}

func (e *Events) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.readers--; e.readers == 0 {
		e.stop()
		e.recent, e.stop = nil, nil
	}
}

// read yields the steps behind a sequence.
func (e *Events) read(ctx context.Context, at uint64) iter.Seq[step] {
	return func(yield func(step) bool) {
		for t, err := range e.store.Tail(ctx, at, api.LargestFollowed) {
			if err != nil {
				e.log.Warn().Err(err).Msg("reading the stream failed; a client that follows the events must connect again")
				return
			}
			if t.Sequence > at+1 && !yield(step{Followed: lost(at+1, t.Sequence-1), from: at + 1}) {
				return
			}
			if at = t.Sequence; !yield(stepOf(t)) {
				return
			}
		}
	}
}

// following is one reader of the events.
type following struct {
	of    *Events
	f     api.Follow
	at    uint64
	yield func(api.Followed) bool
}

// on goes on by what there is, and reports whether to go on after that.
func (r *following) on(ctx context.Context, w *window) bool {
	steps, there, grown := w.after(r.at)
	switch {
	case !there:
		for s := range r.of.read(ctx, r.at) {
			if !r.take(s) {
				return false
			}
			if w.has(r.at) {
				return true
			}
		}
		return false
	case len(steps) > 0:
		for _, s := range steps {
			if !r.take(s) {
				return false
			}
		}
	case grown == nil: // there will be no more
		return false
	default:
		select {
		case <-grown:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// take passes a step on, as far as the reader wants it.
func (r *following) take(s step) bool {
	shown := s.Followed
	switch {
	case shown.Name == api.GapName && s.from <= r.at: // it began within the gap
		shown = lost(r.at+1, s.Sequence)
	case shown.Name != api.GapName && !(among(r.f.Sources, s.source) && among(r.f.Kinds, s.kind) && among(r.f.Results, s.result)):
		shown = api.Followed{Sequence: s.Sequence}
	}
	r.at = s.Sequence
	return r.yield(shown)
}

// among reports whether a filter lets one pass; an empty one lets all.
func among[T comparable](filter []T, one T) bool {
	return len(filter) == 0 || slices.Contains(filter, one)
}
