package job

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Delivery is what is known of events that a sink did not accept at once: those of a job that are
// posted again, or one that was given up. Its JSON is the message on its subject in the stream
// SINKS; each change replaces the message.
type Delivery struct {
	// Sink is the configured name.
	Sink string `json:"sink"`
	// Job is the part `<source>.<job>` of the subjects of the job's events.
	Job string `json:"job"`
	// Next is the sequence in JOBS of the event that was not accepted, and Last that of the newest
	// event of the job that was handed to the sink. If an event was given up, they are the same.
	Next uint64 `json:"next"`
	Last uint64 `json:"last"`
	// Tries is how often Next was posted since Since.
	Tries int       `json:"tries"`
	Since time.Time `json:"since"`
	// Due is when it is posted again.
	Due time.Time `json:"due,omitzero"`
	// Error says why the last try failed.
	Error string `json:"error,omitempty"`
	// GivenUp is true of an event that is not posted any more.
	GivenUp bool `json:"given_up,omitempty"`
	// Sequence is the message's place in the stream; zero of one that is not stored yet.
	Sequence uint64 `json:"-"`
}

// The words of the subjects of the stream SINKS.
const (
	sinkRetrying = "retrying"
	sinkGivenUp  = "given_up"
)

// Subject returns `sinks.<sink>.retrying.<source>.<job>` or
// `sinks.<sink>.given_up.<source>.<job>.<sequence>`.
func (d Delivery) Subject() string {
	if d.GivenUp {
		return SinkPattern(d.Sink, true, d.Job) + "." + strconv.FormatUint(d.Next, 10)
	}
	return SinkPattern(d.Sink, false, d.Job)
}

// SinkPattern returns the pattern of the subjects of what is posted again, or was given up, of one
// job, or of all if job is ">".
func SinkPattern(sink string, givenUp bool, job string) string {
	word := sinkRetrying
	if givenUp {
		word = sinkGivenUp
	}
	return sinksPrefix + sink + "." + word + "." + job
}

// Data returns the data of the record's message.
func (d Delivery) Data() ([]byte, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("writing the record of a delivery to sink %s: %w", d.Sink, err)
	}
	return data, nil
}

// Source returns the source and the id of the job; of an unrecognised event the id is the digest
// of its body.
func (d Delivery) Source() (source, id string) {
	source, token, _ := strings.Cut(d.Job, ".")
	id, _ = parseToken(token)
	return source, id
}

// deliveryJob is the form of Delivery.Job.
var deliveryJob = regexp.MustCompile(`^[a-z0-9-]{1,32}\.~?[A-Za-z0-9_-]+$`)

// ParseDelivery undoes Data, of a message on a subject. It returns an error for a message that
// this program did not write.
func ParseDelivery(subject string, data []byte) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(data, &d); err != nil {
		return Delivery{}, fmt.Errorf("message on %q is no record of a delivery: %w", subject, err)
	}
	if subject != d.Subject() || !deliveryJob.MatchString(d.Job) || d.Next == 0 || d.Last < d.Next {
		return Delivery{}, fmt.Errorf("message on %q is not the record that belongs there", subject)
	}
	return d, nil
}

// Handed is an event of JOBS that a durable consumer handed out, without its data.
type Handed struct {
	Subject  string
	Sequence uint64
	// Done takes it off the consumer; Return has it handed out again at once.
	Done, Return func() error
}

// Wire is an event of JOBS as it is stored: its data may be encrypted.
type Wire struct {
	Subject  string
	Sequence uint64
	Header   map[string][]string
	Data     []byte
}

// Backlog is what a sink has not accepted yet.
type Backlog struct {
	// Pending are the events that were not posted yet.
	Pending uint64 `json:"pending"`
	// Retrying are the jobs whose events are posted again, GivenUp the events that are not.
	Retrying int `json:"retrying"`
	GivenUp  int `json:"given_up"`
}

// CutKind returns the part `<source>.<job>` of the subject of an event, and its kind.
func CutKind(subject string) (of string, k Kind) {
	rest := strings.TrimPrefix(subject, JobsPrefix)
	if i := strings.LastIndexByte(rest, '.'); i >= 0 {
		return rest[:i], Kind(rest[i+1:])
	}
	return rest, ""
}
