package job

import (
	"encoding/json"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Fields are the members of one JSON object of the platform: of a callback, of an answer, or
// of a row in a list. Its methods take the names of a member in order of preference, find it
// in any case, and pass over what is absent or holds something else. It is the one reader of
// what the platform says.
type Fields []field

// ReadFields reads a JSON object; it may begin with a byte order mark. Its errors are ErrNotJSON,
// ErrTrailing, ErrDuplicateKey and ErrTooDeep.
func ReadFields(body []byte) (Fields, error) { return parse(body, nil) }

// field is one member: its name unescaped, its raw value, and what understand adds.
type field struct {
	name, value string
	spelling
}

// understand finds out what each member means.
func (f Fields) understand() {
	for i := range f {
		f[i].spelling = spelt(f[i].name)
	}
}

// get returns the value of the member of exactly that name, or the empty string, which is no
// JSON.
func (f Fields) get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].value
		}
	}
	return ""
}

// best returns what read makes of the members of that meaning: of the best name that it takes.
func best[T any](f Fields, m meaning, read func(value string) (T, bool)) (found T) {
	place := uint8(1<<8 - 1)
	for i := range f {
		if f[i].means == m && f[i].place < place {
			if t, ok := read(f[i].value); ok {
				found, place = t, f[i].place
			}
		}
	}
	return found
}

// first is best of names that are not those of a job.
func first[T any](f Fields, names []string, read func(value string) (T, bool)) (none T) {
	for _, n := range names {
		folded := string(fold(nil, n))
		for i := range f {
			if string(fold(nil, f[i].name)) == folded {
				if t, ok := read(f[i].value); ok {
					return t
				}
			}
		}
	}
	return none
}

// ID returns the first of the named members that is an id: a usable string, or an
// integer, as its digits. A number is never taken through a float64, but 1234.0 and
// 1.234E3 are 1234: one generation declares the id a double.
//
// OC: section 5.1 `id`, (b) row 1.
func (f Fields) ID(names ...string) string { return first(f, names, asID) }

func asID(value string) (string, bool) {
	if s, ok := asString(value); ok {
		return s, usable(s)
	}
	return asInteger(value)
}

// usable reports whether s can be an id: of at most MaxID bytes and without control characters,
// which CloudEvents forbids in an attribute. JSON decoding replaces invalid bytes by U+FFFD, so two
// different ids could become one: such a string is no id.
func usable(s string) bool {
	return s != "" && len(s) <= MaxID && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}

// Text returns the first of the named members that says something: a string as it is, other raw
// JSON.
func (f Fields) Text(names ...string) string { return first(f, names, asText) }

func asText(value string) (string, bool) {
	if s, ok := asString(value); ok {
		return s, s != ""
	}
	return strings.ToValidUTF8(value, "\ufffd"), value != "null"
}

// asLong takes a string that is not empty, and asShort one of MaxText bytes at most.
func asLong(value string) (string, bool) {
	s, ok := asString(value)
	return s, ok && s != ""
}

func asShort(value string) (string, bool) {
	s, ok := asLong(value)
	return s, ok && len(s) <= MaxText
}

// asFault takes what the platform names an error. An empty one is none, nor is false, 0, an
// empty list or an empty object.
func asFault(value string) (string, bool) {
	s, ok := asText(value)
	return s, ok && strings.TrimSpace(s) != "" && value != "false" && value != "0" && !isEmpty(value)
}

// isEmpty reports whether a value is a list or an object with nothing in it.
func isEmpty(value string) bool {
	return (value[0] == '[' || value[0] == '{') && skipSpace(value, 1) == len(value)-1
}

// Count returns the first of the named members that is a whole number of something; nil if
// none is.
func (f Fields) Count(names ...string) *int64 {
	return first(f, names, func(value string) (*int64, bool) {
		n, ok := asCount(value)
		return &n, ok
	})
}

// counts are all that a job's notification says of numbers of rows. A number that is not there
// is negative.
type counts struct {
	records, failed, warned int64
	// readable is true if each present member could be read, and no nested member contradicts the
	// status. A null member is absent; empty text is present, and cannot be read.
	readable bool
}

// counts takes the largest of each. Nested members, such as the vendor's own object (`native`), may
// repeat how many rows failed; the payload and the metadata, which come from the submitter, do not
// count. A failure status in a nested member means that the status is not reliable.
//
// OC: section 5.1 `native`.
func (f Fields) counts() counts {
	c := counts{-1, -1, -1, true}
	for i := range f {
		value := f[i].value
		switch f[i].means {
		case isRecords:
			c.add(&c.records, value)
		case isFailed:
			c.add(&c.failed, value)
		case isWarned:
			c.add(&c.warned, value)
		}
		if (value[0] == '{' || value[0] == '[') && f[i].means != isPayload && f[i].means != isMetadata {
			eachMember(value, func(name, value string) {
				switch spelt(name).means {
				case isFailed:
					c.add(&c.failed, value)
				case isStatus:
					c.readable = c.readable && !saysFailure(value)
				}
			})
		}
	}
	return c
}

// saysFailure reports whether a status is that of a job which failed or was cancelled.
func saysFailure(value string) bool {
	word, _ := asString(value)
	class, _ := Classify(word)
	return class == Failure || class == Cancellation
}

func (c *counts) add(to *int64, value string) {
	if value == "null" {
		return
	}
	n, ok := asCount(value)
	*to, c.readable = max(*to, n), c.readable && ok
}

// rowsOf returns a number of rows; nil if it was not there.
func rowsOf(n int64) *int64 {
	if n < 0 {
		return nil
	}
	there := n // else what is not there would be allocated, too
	return &there
}

// asCount returns a number of rows, from a JSON number or text; -1 if it is none.
func asCount(value string) (int64, bool) {
	digits, ok := asString(value)
	if ok {
		digits = strings.TrimPrefix(strings.TrimSpace(digits), "+")
	} else {
		digits = value
	}
	if digits, ok = asInteger(digits); !ok {
		return -1, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return -1, false
	}
	return n, true
}

// Time returns the first of the named members that is a time: milliseconds since 1970, or
// text in RFC 3339; the zero time if none is.
func (f Fields) Time(names ...string) time.Time {
	return first(f, names, func(value string) (time.Time, bool) {
		digits, text := asString(value)
		if !text {
			digits = value
		}
		if ms, ok := asCount(digits); ok {
			return time.UnixMilli(ms).UTC(), 0 < ms && ms < endOfTime
		}
		t, err := time.Parse(time.RFC3339, digits)
		return t.UTC(), err == nil
	})
}

const endOfTime = 253402300800000 // the year 10000, which RFC 3339 cannot write

// asMoment takes a time of the platform: milliseconds as RFC 3339, text verbatim.
func asMoment(value string) (string, bool) {
	if s, ok := asString(value); ok {
		return s, s != "" && len(s) <= MaxText
	}
	digits, _ := asInteger(value)
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return "", false
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano), true
}

// payload looks for the callback payload in the known spots: at the top, or in the
// metadata, which may be an object or the text of one.
//
// OC: section 6.2 last row, (b) row 21.
func (f Fields) payload() json.RawMessage {
	if p := best(f, isPayload, asJSON); p != nil {
		return p
	}
	return best(f, isMetadata, func(value string) (json.RawMessage, bool) {
		if s, ok := asString(value); ok {
			value = s
		}
		if !isObject(value) {
			return nil, false
		}
		inner, _ := parse([]byte(value), nil) // what cannot be read holds no payload
		inner.understand()
		p := best(inner, isPayload, asJSON)
		return p, p != nil
	})
}

func asJSON(value string) (json.RawMessage, bool) { return json.RawMessage(value), value != "null" }

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

var numeric = setOf("0123456789")

// asInteger returns the digits of a value that is an integer, however it is written.
func asInteger(value string) (string, bool) {
	if len(value) <= 40 && numeric.holds(value) {
		return value, true // as almost every number: without the expression and the arithmetic
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
