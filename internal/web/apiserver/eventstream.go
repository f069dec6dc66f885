package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/api"
)

// endless gives a stream of events a place for as long as it goes on.
func (s Server) endless(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if s.Readers == nil {
			return next(c)
		}
		if !s.Readers.enter() {
			c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
			return api.Unavailable.Problem("%d clients follow the events, and no more may; try again later, or share one stream among your programs", s.Readers.most)
		}
		defer s.Readers.leave()
		return s.untilStop(next)(c)
	}
}

// eventStream is an answer of Server-Sent Events. It holds one event at a time.
//
// WHATWG HTML, section 9.2, "Server-sent events".
type eventStream struct {
	ctx     context.Context //nolint:containedctx // of the request that it answers
	events  iter.Seq[api.Followed]
	readers *Readers
}

// VisitFollowEventsResponse implements FollowEventsResponseObject. A stream ends with its request,
// with the listener, and with its reader when that takes nothing for a while.
func (e eventStream) VisitFollowEventsResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	ctx, cancel := context.WithCancel(e.ctx)
	steps := make(chan api.Followed) // without room: what waits is in the stream
	var passed atomic.Uint64         // up to which a filter left everything out
	go func() {
		defer close(steps)
		first := true
		for f := range e.events {
			if f.Name == "" && !first {
				passed.Store(f.Sequence)
				continue
			}
			first = false
			select {
			case steps <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range steps { // until the reading has ended
		}
	}()
	if err := e.send(ctx, &sender{w: w, writeTime: e.readers.write}, steps, &passed); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			e.readers.cut.Add(1)
		}
		panic(http.ErrAbortHandler) // the rest of an event will not come
	}
	return nil
}

// send sends what comes, and heartbeats, until nothing more comes or can be sent.
func (e eventStream) send(ctx context.Context, to *sender, steps <-chan api.Followed, passed *atomic.Uint64) error {
	if err := to.begin(); err != nil {
		return err
	}
	beat := time.NewTicker(e.readers.pulse)
	defer beat.Stop()
	for {
		var err error
		select {
		case f, more := <-steps:
			if !more {
				return nil
			}
			err = to.step(f)
		case <-beat.C:
			err = to.heartbeat(passed.Load())
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sender writes Server-Sent Events.
type sender struct {
	w         http.ResponseWriter
	writeTime time.Duration
	buf       bytes.Buffer
	last      uint64 // the id that was sent last
}

// begin has the client connect again soon after the end.
func (s *sender) begin() error {
	s.buf.WriteString("retry: 1000\n\n")
	return s.flush()
}

// heartbeat shows that the connection is alive. An id without data makes no event at the client,
// and is what it sends when it connects again.
func (s *sender) heartbeat(passed uint64) error {
	s.buf.WriteString(": heartbeat\n")
	if passed > s.last {
		fmt.Fprintf(&s.buf, "id: %d\n", passed)
		s.last = passed
	}
	s.buf.WriteByte('\n')
	return s.flush()
}

func (s *sender) step(f api.Followed) error {
	s.last = f.Sequence
	fmt.Fprintf(&s.buf, "id: %d\n", f.Sequence)
	if f.Name != "" { // else it begins there: a client that is cut before the first event comes back to it
		fmt.Fprintf(&s.buf, "event: %s\ndata: %s\n", f.Name, f.Data)
	}
	s.buf.WriteByte('\n')
	return s.flush()
}

// part is how much a client must take within writeTime.
const part = 64 << 10

// flush sends what was written.
func (s *sender) flush() error {
	connection := http.NewResponseController(s.w)
	for s.buf.Len() > 0 {
		_ = connection.SetWriteDeadline(time.Now().Add(s.writeTime)) // a writer without deadlines has none to move
		if _, err := s.w.Write(s.buf.Next(part)); err != nil {
			return err
		}
		if err := connection.Flush(); err != nil {
			return err
		}
	}
	if s.buf.Cap() > 4*part {
		s.buf = bytes.Buffer{}
	}
	return nil
}
