package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
)

// silence is after how long without a byte a connection is given up: a heartbeat comes every 15
// seconds.
const silence = 45 * time.Second

// follow waits for the finished event of a job, behind the event last. A service keeps last with
// its own data.
func (s service) follow(ctx context.Context, job string, last uint64) (*api.View, error) {
	for {
		end, err := s.connect(ctx, job, &last)
		if end != nil || err != nil {
			return end, err
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// connect follows the events until the end of the job, or with nil until the connection ends.
func (s service) connect(ctx context.Context, job string, last *uint64) (*api.View, error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	var body io.ReadCloser
	err := repeat(ctx, func() (err error) {
		body, err = client.Body(s.client.FollowEvents(reading, &api.FollowEventsParams{
			Source: []string{s.source}, Kind: []api.Kind{"finished"}, LastEventID: strconv.FormatUint(*last, 10),
		}))
		return err
	})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	fmt.Printf("events: behind %d\n", *last)
	silent := time.AfterFunc(silence, cancel)
	defer silent.Stop()
	for e := range events(body, func() { silent.Reset(silence) }) {
		if n, err := strconv.ParseUint(e.id, 10, 64); err == nil {
			*last = n
		}
		switch e.kind {
		case "finished":
			var event api.Event
			if err := json.Unmarshal([]byte(e.data), &event); err != nil {
				return nil, err
			}
			if event.Job.ID == job {
				fmt.Printf("event %d: job %s is finished\n", *last, job)
				return &event.Job, nil
			}
		case "gap": // older events than the stream keeps
			if end, err := s.ended(ctx, job); end != nil || err != nil {
				return end, err
			}
		}
	}
	return nil, nil
}

// event is a Server-Sent Event; kind is empty of an id without data.
type event struct{ id, kind, data string }

// events reads Server-Sent Events. It leaves out an event that the end of the connection cut off.
func events(body io.Reader, alive func()) iter.Seq[event] {
	return func(yield func(event) bool) {
		var id, kind string
		var data []string
		lines := bufio.NewScanner(body) // without LF or CR LF
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			alive()
			name, value, _ := strings.Cut(lines.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch {
			case name == "id":
				id = value
			case name == "event":
				kind = value
			case name == "data":
				data = append(data, value)
			case lines.Text() == "": // the end of an event; a comment is a line without a name
				if data == nil {
					kind = ""
				}
				if !yield(event{id, kind, strings.Join(data, "\n")}) {
					return
				}
				kind, data = "", nil
			}
		}
	}
}
