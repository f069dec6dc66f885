package job

import (
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
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

// Read reads the body of a callback or of a status answer, of either generation.
// It ignores what it does not know, takes the id as text or number, and never
// guesses: what is not a job notification gives one of this file's errors, what
// has an unknown status gives a view of class Unknown. It keeps nothing of body.
//
// OC: sections 5.1 and 6.2, (a) row 20, (b) rows 1 to 4 and 20 to 22.
func Read(body []byte) (View, error) {
	var room [16]field // as many as the platform sends, so that they need not be allocated
	f, err := parse(body, room[:0])
	if err != nil {
		return View{}, err
	}
	if isObject(f.get("message")) || isObject(f.get("response")) {
		return View{}, ErrEvent
	}
	v := View{
		ID:         f.id("id", "jobId", "job_id"),
		Status:     f.text(MaxText, "status", "jobStatus", "job_status", "bulk_status"),
		Object:     f.text(MaxText, "object_name", "objectName"),
		Direction:  f.text(MaxText, "job_direction", "jobDirection"),
		Records:    f.count("recordsCount", "recordCount", "record_count"),
		Failed:     f.count("recordsFailedCount", "errorCount", "error_count"),
		Error:      f.any("error"),
		Message:    f.text(len(body), "message", "statusMessage", "infoMessage"),
		FileFormat: f.text(MaxText, "fileFormat", "file_format"),
		Instance:   f.id("instanceId", "instance_id"),
		VendorJob:  f.id("vendorJobId", "vendor_job_id"),
		Started:    f.moment("bulk_start_time", "createdDate"),
		Ended:      f.moment("bulk_finish_time", "completionTime", "completion_time"),
		Payload:    f.payload(),
	}
	switch {
	case v.ID == "":
		return View{}, ErrNoID
	case strings.TrimSpace(v.Status) == "":
		return View{}, ErrNoStatus
	}
	v.Result = resultOf(v.Class(), v.Records, v.Failed)
	return v, nil
}

// id returns the first of the named members that is an id: a usable string, or an
// integer, as its digits. A number is never taken through a float64, but 1234.0 and
// 1.234E3 are 1234: one generation declares the id a double.
//
// OC: section 5.1 `id`, (b) row 1.
func (f fields) id(names ...string) string {
	for _, n := range names {
		value := f.get(n)
		if s, ok := asString(value); ok && usable(s) {
			return s
		}
		if s, ok := asInteger(value); ok {
			return s
		}
	}
	return ""
}

// usable reports whether s can be an id: of at most MaxID bytes and without control
// characters, which CloudEvents forbids in an attribute. What JSON could not decode
// has become U+FFFD: two such ids could be one afterwards, so it is none.
func usable(s string) bool {
	return s != "" && len(s) <= MaxID && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}

// text returns the first of the named members that is a string of one to limit bytes.
func (f fields) text(limit int, names ...string) string {
	for _, n := range names {
		if s, ok := asString(f.get(n)); ok && s != "" && len(s) <= limit {
			return s
		}
	}
	return ""
}

// any returns a member as text: a string as it is, other JSON as it stands.
func (f fields) any(name string) string {
	value := f.get(name)
	if s, ok := asString(value); ok {
		return s
	}
	if value == "null" {
		return ""
	}
	return strings.ToValidUTF8(value, "\ufffd")
}

// count returns the first of the named members that is a number of rows, be it a
// JSON number or digits in a string; nil if there is none.
func (f fields) count(names ...string) *int64 {
	for _, n := range names {
		value := f.get(n)
		if value == "" {
			continue
		}
		digits, ok := asInteger(value)
		if !ok {
			digits, _ = asString(value)
		}
		if c, err := strconv.ParseInt(digits, 10, 64); err == nil && c >= 0 {
			return &c
		}
	}
	return nil
}

// moment returns a time of the platform: milliseconds as RFC 3339, text verbatim.
func (f fields) moment(names ...string) string {
	for _, n := range names {
		value := f.get(n)
		if s, ok := asString(value); ok && s != "" && len(s) <= MaxText {
			return s
		}
		if digits, ok := asInteger(value); ok {
			if ms, err := strconv.ParseInt(digits, 10, 64); err == nil {
				return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
			}
		}
	}
	return ""
}

// payload looks for the callback payload in the known spots: at the top, or in the
// metadata, which may be an object or the text of one.
//
// OC: section 6.2 last row, (b) row 21.
func (f fields) payload() json.RawMessage {
	if p := f.payloadHere(); p != nil {
		return p
	}
	for _, n := range []string{"metadata", "metaData"} {
		value := f.get(n)
		if s, ok := asString(value); ok {
			value = s
		}
		if !isObject(value) {
			continue
		}
		inner, _ := parse([]byte(value), nil) // what cannot be read holds no payload
		if p := inner.payloadHere(); p != nil {
			return p
		}
	}
	return nil
}

func (f fields) payloadHere() json.RawMessage {
	for _, n := range []string{"callback-payload", "callbackPayload", "callback_payload"} {
		if value := f.get(n); value != "" && value != "null" {
			return json.RawMessage(value)
		}
	}
	return nil
}

func isObject(value string) bool { return strings.HasPrefix(value, "{") }

func asString(value string) (string, bool) {
	if !strings.HasPrefix(value, `"`) {
		return "", false
	}
	return unquote(value), true
}

// number is a JSON number short enough, and with an exponent small enough, to be
// worth exact arithmetic.
var number = regexp.MustCompile(`^-?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,2})?$`)

// asInteger returns the digits of a value that is an integer, however it is written.
func asInteger(value string) (string, bool) {
	if isDigits(value) {
		return value, true
	}
	if !number.MatchString(value) {
		return "", false
	}
	r, ok := new(big.Rat).SetString(value)
	if !ok || !r.IsInt() {
		return "", false
	}
	return r.Num().String(), true
}

// isDigits spares what is almost every number the expression and the arithmetic.
func isDigits(value string) bool {
	for _, c := range []byte(value) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return value != "" && len(value) <= 40
}
