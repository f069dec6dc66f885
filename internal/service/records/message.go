package records

import (
	"encoding/json"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// Message is a message as commands print it. Data is the payload itself if it is
// JSON, else it stands in Base64; it is still encrypted if it is hidden, and missing if it
// is lost.
type Message struct {
	Subject  string            `json:"subject"`
	Sequence uint64            `json:"sequence"`
	Stored   time.Time         `json:"stored"`
	Headers  map[string]string `json:"headers"`
	Job      json.RawMessage   `json:"job,omitempty"`
	Data     json.RawMessage   `json:"data,omitempty"`
	Base64   []byte            `json:"data_base64,omitempty"`
	Hidden   bool              `json:"hidden,omitempty"`
	Lost     bool              `json:"lost,omitempty"`
}

// JSON returns a message as commands print it.
func JSON(m publish.Message) Message {
	w := Message{
		Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time.UTC(), Headers: map[string]string{}, Hidden: m.Hidden, Lost: m.Lost,
	}
	for name, values := range m.Header {
		if len(values) == 0 {
			continue
		}
		if name == job.HeaderJob && json.Valid([]byte(values[0])) {
			w.Job = json.RawMessage(values[0])
			continue
		}
		w.Headers[name] = values[0]
	}
	if json.Valid(m.Data) {
		w.Data = m.Data
	} else {
		w.Base64 = m.Data
	}
	return w
}
