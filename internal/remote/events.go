package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"receiver/api"
	"receiver/api/client"
)

const (
	// silence is how long a stream of events may be silent: several heartbeats.
	silence = time.Minute
	// mostLine is the longest line of a stream of events, in bytes.
	mostLine = 4 << 20
)

// errSilent is why a stream of events was left that was silent for too long.
var errSilent = errors.New("the receiver was silent for a minute")

// Follow yields the events that parameters ask for, until ctx is done. Where a connection is lost,
// it goes on behind the last event, without a gap and without a repeat; note hears of that, and of
// events that the stream does not hold any more. Opened is called once the receiver has answered.
// The error of the first connection, or one that stays, ends it.
func (r *Receiver) Follow(ctx context.Context, p api.FollowEventsParams, opened func(), note func(string)) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		s := &following{r: r, p: p, note: note, opened: opened, yield: yield}
		for try := 1; ; try++ {
			on, err := s.once(ctx)
			if !on || ctx.Err() != nil {
				return
			}
			if s.came {
				s.came, try = false, 1
			}
			wait, again := repeatable(err, try)
			if !again || !s.answered {
				yield(api.Event{}, err)
				return
			}
			note(fmt.Sprintf("%v; connecting again in %v", err, wait.Round(time.Second)))
			if pause(ctx, wait) != nil {
				return
			}
		}
	}
}

// following is a stream of events over its connections.
type following struct {
	r      *Receiver
	p      api.FollowEventsParams
	opened func()
	note   func(string)
	yield  func(api.Event, error) bool
	// answered is true once the receiver has answered, and came of a connection that brought
	// something.
	answered, came bool
}

// once follows the events over one connection. It returns false if no more are wanted.
func (s *following) once(ctx context.Context) (on bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer alive.Stop()
	body, err := client.Body(s.r.c.FollowEvents(ctx, &s.p))
	if err != nil {
		return true, told(err)
	}
	defer body.Close()
	if !s.answered {
		s.answered = true
		s.opened()
	}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, mostLine)
	var name string
	var data []byte
	for lines.Scan() {
		alive.Reset(silence)
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			if _, err := strconv.ParseUint(string(value), 10, 64); err == nil {
				s.p.LastEventID, s.came = string(value), true
			}
		case "event":
			name = string(value)
		case "data":
			data = append(data, value...)
		}
		if len(lines.Bytes()) > 0 {
			continue
		}
		if len(data) > 0 {
			if on, err := s.event(name, data); !on || err != nil {
				return on, err
			}
		}
		name, data = "", data[:0]
	}
	err = lines.Err()
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		err = errSilent
	case err == nil:
		err = io.ErrUnexpectedEOF
	}
	return true, fmt.Errorf("following the events: %w", err)
}

// event passes an event on.
func (s *following) event(name string, data []byte) (on bool, err error) {
	if name == api.GapName {
		var gap api.Gap
		if err := json.Unmarshal(data, &gap); err != nil {
			return true, err
		}
		s.note(fmt.Sprintf("the stream does not hold the events %d to %d any more", gap.From, gap.To))
		return true, nil
	}
	var e api.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return true, err
	}
	return s.yield(e, nil), nil
}
