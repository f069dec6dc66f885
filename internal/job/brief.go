package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ErrChanged ends a reading of JOBS when messages were removed that it may have given: what
// was made of them is to be made anew.
var ErrChanged = errors.New("messages were removed from the stream")

// Brief is what the headers of an event say that a list of jobs needs. It is read
// without the event's data, and with as little work as can be: a list is made of all
// the events there are.
type Brief struct {
	Source, ID string
	Kind       Kind
	// Sequence is the event's place in the stream; ReadBrief leaves it zero.
	Sequence uint64
	Time     time.Time
	Status   string
	Result   Result
	Evidence Evidence
	Object   string
	// Records and Failed are those of the view; negative where it has none.
	Records, Failed int64
}

// Brief returns what a list needs of the event.
func (s Stored) Brief() Brief {
	b := Brief{
		Source: s.Source, ID: s.Job.ID, Kind: s.Kind, Sequence: s.Sequence, Time: s.Time, Status: s.Job.Status, Result: s.Job.Result,
		Evidence: s.Evidence, Object: s.Job.Object, Records: -1, Failed: -1,
	}
	if s.Job.Records != nil {
		b.Records = *s.Job.Records
	}
	if s.Job.Failed != nil {
		b.Failed = *s.Job.Failed
	}
	return b
}

// ReadBrief reads the headers of a message of the stream JOBS. It returns an error for
// a message that this program did not write, and for an unrecognised event, which
// belongs to no job.
func ReadBrief(subject string, get Lookup) (Brief, error) {
	rest, ok := strings.CutPrefix(subject, JobsPrefix)
	source, rest, _ := strings.Cut(rest, ".")
	token, kind, _ := strings.Cut(rest, ".")
	id, err := parseToken(token)
	b := Brief{Source: source, ID: id, Kind: Kind(kind), Records: -1, Failed: -1}
	if !ok || err != nil || !b.Kind.valid() || b.Kind == Unrecognised {
		return Brief{}, fmt.Errorf("subject %q is not jobs.<source>.<job>.<kind>", subject)
	}
	if b.Time, err = time.Parse(time.RFC3339Nano, get(headerTime)); err != nil {
		return Brief{}, fmt.Errorf("message on %q: ce-time: %w", subject, err)
	}
	b.Status, b.Result, b.Evidence = get(headerStatus), Result(get(HeaderResult)), Evidence(get(HeaderEvidence))
	if strings.IndexByte(b.Status, '%') >= 0 {
		if b.Status, err = url.PathUnescape(b.Status); err != nil {
			return Brief{}, fmt.Errorf("message on %q: ce-status: %w", subject, err)
		}
	}
	b.view(get(HeaderJob))
	return b, nil
}

// view takes what is needed out of a view's JSON. It was written by View.header, so it is well
// formed, its members have the order of the struct, and none of those that are needed comes after
// the first text of the platform's own.
func (b *Brief) view(text string) {
	for text != "" {
		name, rest, _ := strings.Cut(text[1:], `":`) // after { or ,
		if name == "" {
			return
		}
		value, after := member(rest)
		switch name[1:] {
		case "object":
			b.Object = unquoted(value)
		case "records":
			b.Records = countOr(value, b.Records)
		case "failed":
			b.Failed = countOr(value, b.Failed)
		case "error", "message", "payload":
			return
		}
		text = after
	}
}

// member splits a JSON text or number from what follows it.
func member(s string) (value, rest string) {
	if s == "" || s[0] != '"' {
		i := strings.IndexAny(s, ",}")
		if i < 0 {
			return s, ""
		}
		return s[:i], s[i:]
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i+1], s[i+1:]
		}
	}
	return s, ""
}

func unquoted(value string) string {
	if !strings.Contains(value, `\`) {
		return strings.Trim(value, `"`)
	}
	var s string
	_ = json.Unmarshal([]byte(value), &s) // what cannot be read is unknown
	return s
}

func countOr(digits string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return n
	}
	return otherwise
}
