package apiserver

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/when"
)

// Feed has the events of the stream JOBS.
type Feed interface {
	// Follow returns the events from a position on, then new ones, until ctx is done or the stream
	// cannot be read any more. The first step says where it begins.
	Follow(ctx context.Context, f api.Follow) (iter.Seq[api.Followed], error)
}

// Readers bounds and counts those who follow the events. It is safe for concurrent use.
type Readers struct {
	most         int64
	pulse, write time.Duration
	open         atomic.Int64
	refused, cut atomic.Uint64
}

// The pace of a stream of events.
const (
	pulse      = 15 * time.Second // between two heartbeats
	writeTime  = 10 * time.Second // for a part of an event to be taken
	retryAfter = "10"             // seconds, until a place may be free
)

// NewReaders returns readers of which at most so many are open at once.
func NewReaders(most int) *Readers {
	return &Readers{most: int64(most), pulse: pulse, write: writeTime}
}

// Open returns how many readers there are.
func (r *Readers) Open() int { return int(r.open.Load()) }

// Most returns how many readers there may be.
func (r *Readers) Most() int { return int(r.most) }

// Refused returns how many were refused because there was no place.
func (r *Readers) Refused() uint64 { return r.refused.Load() }

// Cut returns how many were cut because they read too slowly.
func (r *Readers) Cut() uint64 { return r.cut.Load() }

// enter takes a place, and reports whether there was one. leave gives it back.
func (r *Readers) enter() bool {
	if r.open.Add(1) <= r.most {
		return true
	}
	r.open.Add(-1)
	r.refused.Add(1)
	return false
}

func (r *Readers) leave() { r.open.Add(-1) }

// FollowEvents implements StrictServerInterface.
func (s Server) FollowEvents(ctx context.Context, r FollowEventsRequestObject) (FollowEventsResponseObject, error) {
	if s.Feed == nil {
		return nil, notReached()
	}
	f, err := follow(r.Params, time.Now())
	if err != nil {
		return nil, err
	}
	events, err := s.Feed.Follow(ctx, f)
	if err != nil {
		return nil, err
	}
	return eventStream{ctx: ctx, events: events, readers: s.Readers}, nil
}

// follow reads the parameters of a stream of events. Last-Event-ID outranks since: a client that
// connects again repeats the address that it began with.
func follow(p api.FollowEventsParams, now time.Time) (f api.Follow, err error) {
	f = api.Follow{Sources: p.Source, Kinds: p.Kind, Results: p.Result}
	if err := oneOf("kind", f.Kinds, job.Kinds); err != nil {
		return f, err
	}
	if err := oneOf("result", f.Results, job.Results); err != nil {
		return f, err
	}
	if p.LastEventID != "" {
		if f.After, f.Behind = sequence(p.LastEventID); !f.Behind {
			return f, api.BadRequest.Problem("Last-Event-ID %q is not the id of an event; begin with since", p.LastEventID)
		}
		return f, nil
	}
	if f.After, f.Behind = sequence(p.Since); f.Behind {
		return f, nil
	}
	if p.Since == "all" {
		f.Since = time.Unix(0, 0)
		return f, nil
	}
	if p.Since == "" {
		return f, nil
	}
	if f.Since, err = when.Parse(p.Since, now); err != nil {
		return f, api.BadRequest.Problem("since %q is neither a sequence such as 8314, a duration such as 24h, a time such as 2026-11-23T00:00:00Z nor all", p.Since)
	}
	return f, nil
}

// sequence reads a sequence as an id of an event has it: without a sign or zeros before it.
func sequence(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == text
}

// oneOf refuses values of a filter that nothing has: it would show nothing, for ever.
func oneOf[T ~string](name string, values, known []T) error {
	for _, v := range values {
		if !slices.Contains(known, v) {
			all := make([]string, len(known))
			for i, k := range known {
				all[i] = string(k)
			}
			return api.BadRequest.Problem("there is no %s %q; use %s", name, v, strings.Join(all, ", "))
		}
	}
	return nil
}
