package job

import (
	"errors"
	"fmt"
	"strings"
)

// Reasons why authentic bytes are not a job notification. They are the values of
// the `ce-reason` header of an unrecognised event.
var (
	// ErrNotJSON: not one JSON object.
	ErrNotJSON = errors.New("not_json")
	// ErrTrailing: something follows the object.
	ErrTrailing = errors.New("trailing_data")
	// ErrDuplicateKey: a key stands twice in one object, so that two readers
	// could read two meanings.
	ErrDuplicateKey = errors.New("duplicate_key")
	// ErrTooDeep: nested deeper than MaxDepth.
	ErrTooDeep = errors.New("too_deep")
	// ErrEvent: an ordinary event notification, sent to the same address.
	ErrEvent = errors.New("event_notification")
	// ErrNoID: no usable job id.
	ErrNoID = errors.New("no_id")
	// ErrNoStatus: no status, or none of at most MaxText bytes.
	ErrNoStatus = errors.New("no_status")
)

// MaxDepth is how deep a notification may be nested. The platform's are flat but
// for metadata and the payload.
const MaxDepth = 32

// MaxText is the longest status, name or time of the platform, in bytes, that is taken
// for one. Only its error, its message and the payload may be longer.
const MaxText = 256

// Read reads the body of a callback or of a status answer, of any generation.
// It ignores what it does not know, takes the id as text or number, and never
// guesses: what is not a job notification gives one of this file's errors, what
// has an unknown status gives a view of class Unknown. It keeps nothing of body.
//
// OC: sections 5.1 and 6.2, (a) row 20, (b) rows 1 to 4 and 20 to 22.
func Read(body []byte) (View, error) { return read("", body) }

// ReadAnswer reads the platform's answer to a question about the job of that id. One old form
// of the answer leaves the id out. An answer about another job is an error that names both.
func ReadAnswer(id string, body []byte) (View, error) {
	v, err := read(id, body)
	switch {
	case err != nil:
		return View{}, fmt.Errorf("the platform's status cannot be read: %w", err)
	case v.ID != id:
		return View{}, fmt.Errorf("the platform was asked about job %q and answers about %q", id, v.ID)
	}
	return v, nil
}

// read is Read of what is about the job of that id if it names none.
func read(id string, body []byte) (View, error) {
	var room [16]field // as many as the platform sends, so that they need not be allocated
	f, err := parse(body, room[:0])
	if err != nil {
		return View{}, err
	}
	if isObject(f.get("message")) || isObject(f.get("response")) {
		return View{}, ErrEvent
	}
	v := f.View()
	if v.ID == "" {
		v.ID = id
	}
	switch {
	case v.ID == "":
		return View{}, ErrNoID
	case v.Status == "":
		return View{}, ErrNoStatus
	}
	return v, nil
}

// View returns what the members say of a job. Its ID and Status are empty where they name
// none, which Read takes for an error.
func (f Fields) View() View {
	f.understand()
	status, counts := f.status(), f.counts()
	v := View{
		ID:         best(f, isID, asID),
		Status:     status.word,
		Object:     best(f, isObjectName, asShort),
		Direction:  best(f, isDirection, asShort),
		Records:    rowsOf(counts.records),
		Failed:     rowsOf(counts.failed),
		Warned:     rowsOf(counts.warned),
		Error:      best(f, isError, asFault),
		Message:    best(f, isMessage, asLong),
		FileFormat: best(f, isFormat, asShort),
		Instance:   best(f, isInstance, asID),
		VendorJob:  best(f, isVendorJob, asID),
		Started:    best(f, isStarted, asMoment),
		Ended:      best(f, isEnded, asMoment),
		Payload:    f.payload(),
	}
	v.Result = v.judged(status, counts)
	return v
}

// judged says how a job ended whose status is that, by what the view holds: a job in which
// every row failed still says COMPLETED. Records is taken for the total, failures included.
// It is the empty Result for a status that is not the end.
//
// A job that ran to its end and names an error has not succeeded: by (a) row 20 there is an
// error on failure only, and by row 13 a success with failures has reservations. Nor has one
// whose counts, or statuses, cannot all be read as one meaning: nobody knows how it ended.
//
// OC: section 5.2, (a) rows 12 to 14 and 20, (b) row 22.
func (v *View) judged(s status, c counts) Result {
	switch {
	case !s.end:
		return ""
	case s.class == Failure:
		return Failed
	case s.class == Cancellation:
		return Cancelled
	case s.class == Unknown || !s.readable || !c.readable:
		return Undecided
	case c.failed > 0 && c.records >= 0 && c.failed >= c.records:
		return Failed
	case c.failed > 0, c.warned > 0, v.Error != "", s.class == Warning:
		return Partial
	}
	return Succeeded
}

// status is what the members say of where a job stands.
type status struct {
	// word is the platform's, verbatim. Two that do not mean the same stand there together,
	// with a slash between them: that is a word that nobody knows.
	word  string
	class Class
	// end is true if every word says that the job is over, and readable if every one is a word.
	end, readable bool
}

// status reads every member that may hold one, the best name first. Null and blank members are
// ignored.
func (f Fields) status() status {
	s := status{readable: true}
	for place := range uint8(len(names[isStatus])) {
		for i := range f {
			if f[i].means == isStatus && f[i].place%inOtherCase == place {
				s.add(f[i].value)
			}
		}
	}
	return s
}

func (s *status) add(value string) {
	word, ok := asString(value)
	switch {
	case value == "null", ok && strings.TrimSpace(word) == "":
		return
	case !ok || len(word) > MaxText:
		s.readable = false
		return
	}
	class, _ := Classify(word)
	switch {
	case s.word == "":
		s.word, s.class, s.end = word, class, class.Terminal()
		return
	case class != s.class && s.class != Unknown:
		s.word, s.class = s.word+"/"+word, Unknown
	}
	s.end = s.end && class.Terminal()
}
