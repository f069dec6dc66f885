package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Watch is the state of polling the platform for one job that has not ended. It is one message of
// the stream WATCH, on the subject `watch.<source>.<job>`, and its JSON is the message's data,
// which shows the result of the last poll. Each poll replaces the message.
type Watch struct {
	Source string `json:"source"`
	Job    string `json:"job"`
	Object string `json:"object,omitempty"`
	// Since is when the job was submitted, or first worth asking about.
	Since time.Time `json:"since"`
	// Next is when the platform is asked next, and Last when it was asked last.
	Next time.Time `json:"next"`
	Last time.Time `json:"last,omitzero"`
	// Looks counts the questions, Failures those of them that got no usable answer.
	Looks    int `json:"looks,omitempty"`
	Failures int `json:"failures,omitempty"`
	// Waited is how much time has passed between the questions so far, each pause counted up
	// to the longest that the schedule has. A clock that is set changes nothing in it.
	Waited time.Duration `json:"waited,omitempty"`
	// Unanswered counts the last questions in a row that the platform did not answer at all.
	Unanswered int `json:"unanswered,omitempty"`
	// Step is how far the schedule's pauses have grown; it falls back to zero when the
	// next question is brought forward.
	Step int `json:"step,omitempty"`
	// Status is the platform's last word.
	Status string `json:"status,omitempty"`
	// Error is why the last question got no usable answer; empty if it got one.
	Error string `json:"error,omitempty"`
	// Overdue is true once the job's overdue event is published.
	Overdue bool `json:"overdue,omitempty"`
	// Sequence is the message's place in the stream; zero of one that is not stored yet.
	Sequence uint64 `json:"-"`
	// Handed is how often this message has been handed out, this time included.
	Handed uint64 `json:"-"`
}

// WatchSubject returns `watch.<source>.<job>`.
func WatchSubject(source, id string) string { return watchPrefix + source + "." + Token(id) }

// Data returns the data of the watch's message.
func (w Watch) Data() []byte {
	data, err := json.Marshal(w)
	if err != nil {
		// Only a time beyond the year 9999 can do this.
		w.Since, w.Next, w.Last = time.Time{}, time.Time{}, time.Time{}
		data, _ = json.Marshal(w)
	}
	return data
}

// ParseWatch undoes WatchSubject and Data. It returns an error for a message that this
// program did not write.
func ParseWatch(subject string, data []byte) (Watch, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 3 || parts[0]+"." != watchPrefix || !ValidSource(parts[1]) {
		return Watch{}, fmt.Errorf("subject %q is not watch.<source>.<job>", subject)
	}
	id, err := parseToken(parts[2])
	if err != nil {
		return Watch{}, fmt.Errorf("subject %q: %w", subject, err)
	}
	var w Watch
	if err := json.Unmarshal(data, &w); err != nil {
		return Watch{}, fmt.Errorf("message on %q: %w", subject, err)
	}
	if w.Source != parts[1] || w.Job != id {
		return Watch{}, fmt.Errorf("message on %q is about job %q of source %q", subject, w.Job, w.Source)
	}
	return w, nil
}
