package job

import (
	"bytes"
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
// has an unknown status gives a view of class Unknown.
//
// OC: sections 5.1 and 6.2, (a) row 20, (b) rows 1 to 4 and 20 to 22.
func Read(body []byte) (View, error) {
	if err := check(body); err != nil {
		return View{}, err
	}
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return View{}, ErrNotJSON
	}
	if isObject(f["message"]) || isObject(f["response"]) {
		return View{}, ErrEvent
	}
	v := View{
		ID:         f.id("id", "jobId", "job_id"),
		Status:     f.word("status", "jobStatus", "job_status", "bulk_status"),
		Object:     f.word("object_name", "objectName"),
		Direction:  f.word("job_direction", "jobDirection"),
		Records:    f.count("recordsCount", "recordCount", "record_count"),
		Failed:     f.count("recordsFailedCount", "errorCount", "error_count"),
		Error:      f.any("error"),
		Message:    f.text("message", "statusMessage", "infoMessage"),
		FileFormat: f.word("fileFormat", "file_format"),
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

// fields are the top-level members of a notification. Names are matched exactly:
// encoding/json would match the fields of a struct in any case, and `ID` beside
// `id` would be a duplicate that the check does not see.
type fields map[string]json.RawMessage

// id returns the first of the named members that is an id: a usable string, or an
// integer, as its digits. A number is never taken through a
// float64, but 1234.0 and 1.234E3 are 1234: one generation declares the id a double.
//
// OC: section 5.1 `id`, (b) row 1.
func (f fields) id(names ...string) string {
	for _, n := range names {
		raw := f[n]
		if s, ok := asString(raw); ok && usable(s) {
			return s
		}
		if s, ok := asInteger(raw); ok {
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

// text returns the first of the named members that is a string with something in it.
func (f fields) text(names ...string) string {
	for _, n := range names {
		if s, ok := asString(f[n]); ok && s != "" {
			return s
		}
	}
	return ""
}

// word returns the first of the named members that is a short text.
func (f fields) word(names ...string) string {
	for _, n := range names {
		if s, ok := asString(f[n]); ok && s != "" && len(s) <= MaxText {
			return s
		}
	}
	return ""
}

// any returns a member as text: a string as it is, other JSON as it stands.
func (f fields) any(name string) string {
	raw := f[name]
	if s, ok := asString(raw); ok {
		return s
	}
	if string(raw) == "null" {
		return ""
	}
	return strings.ToValidUTF8(string(raw), "\ufffd")
}

// count returns the first of the named members that is a number of rows, be it a
// JSON number or digits in a string; nil if there is none.
func (f fields) count(names ...string) *int64 {
	for _, n := range names {
		digits, ok := asInteger(f[n])
		if !ok {
			digits, _ = asString(f[n])
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
		if s, ok := asString(f[n]); ok && s != "" && len(s) <= MaxText {
			return s
		}
		if digits, ok := asInteger(f[n]); ok {
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
		raw := f[n]
		if s, ok := asString(raw); ok {
			raw = json.RawMessage(s)
		}
		var inner fields
		if check(raw) == nil && json.Unmarshal(raw, &inner) == nil {
			if p := inner.payloadHere(); p != nil {
				return p
			}
		}
	}
	return nil
}

func (f fields) payloadHere() json.RawMessage {
	for _, n := range []string{"callback-payload", "callbackPayload", "callback_payload"} {
		if raw, ok := f[n]; ok && string(raw) != "null" {
			return raw
		}
	}
	return nil
}

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

func asString(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// number is a JSON number short enough, and with an exponent small enough, to be
// worth exact arithmetic.
var number = regexp.MustCompile(`^-?[0-9.]{1,40}(?:[eE][+-]?[0-9]{1,2})?$`)

var digits = regexp.MustCompile(`^(?:0|-?[1-9][0-9]{0,39})$`)

func asInteger(raw json.RawMessage) (string, bool) {
	if digits.Match(raw) {
		return string(raw), true
	}
	if !number.Match(raw) {
		return "", false
	}
	r, ok := new(big.Rat).SetString(string(raw))
	if !ok || !r.IsInt() {
		return "", false
	}
	return r.Num().String(), true
}

// check walks the whole document once and refuses what would let two readers
// disagree: a second document, a key twice in one object, endless nesting.
func check(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return ErrNotJSON
	}
	if err := checkObject(d, 1); err != nil {
		return err
	}
	if len(bytes.TrimSpace(body[d.InputOffset():])) != 0 {
		return ErrTrailing
	}
	return nil
}

func checkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return ErrNotJSON
		}
		if seen[key] {
			return ErrDuplicateKey
		}
		seen[key] = true
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return closed(d)
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return ErrNotJSON
	}
	delim, nested := t.(json.Delim)
	switch {
	case !nested:
		return nil
	case depth >= MaxDepth:
		return ErrTooDeep
	case delim == '{':
		return checkObject(d, depth+1)
	}
	for d.More() {
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	return closed(d)
}

func closed(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return ErrNotJSON
	}
	return nil
}
