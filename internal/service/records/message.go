package records

import (
	"encoding/json"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// Message is a message as commands print it. Data is the payload itself if it is
// JSON, else it stands in Base64; it is still encrypted if it is hidden, and missing if it
// is lost.
type Message struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"sequence"`
	// Stored is when it was stored; zero of an event that came by HTTP.
	Stored  time.Time         `json:"stored,omitzero"`
	Headers map[string]string `json:"headers"`
	Job     json.RawMessage   `json:"job,omitempty"`
	Data    json.RawMessage   `json:"data,omitempty"`
	Base64  []byte            `json:"data_base64,omitempty"`
	Hidden  bool              `json:"hidden,omitempty"`
	Lost    bool              `json:"lost,omitempty"`
}

// JSON returns a message as commands print it.
func JSON(m publish.Message) Message {
	w := Message{Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time.UTC(), Hidden: m.Hidden, Lost: m.Lost}
	return w.with(m.Header, m.Data)
}

// Received returns an event that came by HTTP as commands print it.
func Received(e api.Event) Message {
	w := Message{
		Subject: e.Subject, Sequence: e.Sequence,
		Hidden: e.BodyMissing == api.EventBodyMissingEncrypted, Lost: e.BodyMissing == api.EventBodyMissingLost,
	}
	data := e.BodyBase64
	if data == nil {
		data = []byte(e.Body)
	}
	return w.with(e.Headers, data)
}

func (w Message) with(header map[string][]string, data []byte) Message {
	w.Headers = map[string]string{}
	for name, values := range header {
		if len(values) == 0 {
			continue
		}
		if name == job.HeaderJob && json.Valid([]byte(values[0])) {
			w.Job = json.RawMessage(values[0])
			continue
		}
		w.Headers[name] = values[0]
	}
	if json.Valid(data) {
		w.Data = data
	} else {
		w.Base64 = data
	}
	return w
}
