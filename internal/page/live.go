package page

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"time"

	"receiver/api"
	"receiver/api/client"
)

// liveEvery is the shortest time between two words that something has changed, and quiet the time
// after which a line without meaning keeps the connection.
const (
	liveEvery = time.Second
	quiet     = 15 * time.Second
)

// live tells a browser, by Server-Sent Events, each time that something has changed. It follows
// GET /v1/events, and passes on no event, but that there was one: the browser fetches its view
// again.
func (p *Page) live(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if p.Visit != nil {
		r = r.WithContext(p.Visit(r.Context()))
	}
	v, err := p.open(w, r)
	if err != nil || !v.May("read") {
		w.WriteHeader(http.StatusNoContent) // the browser asks no more
		return
	}
	events, err := client.Body(v.api.FollowEvents(r.Context(), &api.FollowEventsParams{}))
	if err != nil {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer events.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	changed, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewReaderSize(events, 4<<10)
		for {
			line, _, err := lines.ReadLine()
			if err != nil {
				return
			}
			if bytes.HasPrefix(line, []byte("event:")) {
				select {
				case changed <- struct{}{}:
				default: // it is known already
				}
			}
		}
	}()
	tell(w, r, changed, ended)
	_ = events.Close()
	<-ended
}

// tell writes one event for all changes within liveEvery.
func tell(w http.ResponseWriter, r *http.Request, changed, ended <-chan struct{}) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{}) // a writer without deadlines has none to move
	send := func(text string) bool {
		_ = connection.SetWriteDeadline(time.Now().Add(quiet))
		_, err := fmt.Fprint(w, text)
		return err == nil && connection.Flush() == nil
	}
	if !send("retry: 5000\n\n") {
		return
	}
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	for {
		text := ": \n\n"
		select {
		case <-r.Context().Done():
			return
		case <-ended:
			return
		case <-tick.C:
		case <-changed:
			text = "event: changed\ndata: \n\n"
		}
		if !send(text) {
			return
		}
		select {
		case <-time.After(liveEvery):
		case <-r.Context().Done():
			return
		case <-ended:
			return
		}
	}
}
