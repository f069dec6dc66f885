package submit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

const (
	jsonSpace = " \t\r\n"
	maxDigits = 40              // of a number that is an id or a count
	endOfTime = 253402300800000 // the year 10000, which RFC 3339 cannot write
)

// fields is a JSON object of the platform, whose generations name one thing in
// several ways. Its methods take the names in order of preference and pass over
// those that are absent, null or empty.
type fields map[string]json.RawMessage

// object reads b as a JSON object.
func object(b []byte) (fields, error) {
	b = bytes.Trim(b, jsonSpace)
	if len(b) == 0 {
		return nil, errors.New("it is empty")
	}
	if b[0] != '{' {
		return nil, notJSON(b, "object")
	}
	var f fields
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	return f, nil
}

// array reads b as a JSON array; nothing, and null, are an empty one.
func array(b []byte) ([]json.RawMessage, error) {
	b = bytes.Trim(b, jsonSpace)
	if len(b) == 0 || string(b) == "null" {
		return nil, nil
	}
	if b[0] != '[' {
		return nil, notJSON(b, "array")
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("it is no JSON array: %w", err)
	}
	return rows, nil
}

// notJSON says what stands there instead of the wanted kind of JSON. It shows no
// JSON, which may hold callback URLs.
func notJSON(b []byte, wanted string) error {
	if b[0] == '{' || b[0] == '[' || b[0] == '"' {
		return fmt.Errorf("it is JSON but no %s", wanted)
	}
	begins := redacted(string(b[:min(len(b), maxShown)]))
	return fmt.Errorf("it is no JSON %s but begins %q", wanted, begins[:min(len(begins), 40)])
}

// text returns the first of names that holds text, or the JSON of the first that
// holds something else.
func (f fields) text(names ...string) string {
	for _, name := range names {
		if s := text(f[name]); s != "" {
			return s
		}
	}
	return ""
}

// text is the text of a JSON string, "" for null and nothing, and the JSON itself
// for everything else.
func text(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return ""
	}
	return compact.String()
}

// id returns the first of names that holds an id: text, or a whole number, which
// is never made a float. OC: (b) row 1.
func (f fields) id(names ...string) string {
	for _, name := range names {
		raw := f[name]
		var s string
		if json.Unmarshal(raw, &s) == nil && s != "" {
			return s
		}
		var n json.Number
		if json.Unmarshal(raw, &n) == nil {
			if s = wholeNumber(n.String()); s != "" {
				return s
			}
		}
	}
	return ""
}

// count returns the first of names that holds a whole number of rows, given as
// a number or as text; nil when none does.
func (f fields) count(names ...string) *int64 {
	for _, name := range names {
		if n, err := strconv.ParseInt(wholeNumber(text(f[name])), 10, 64); err == nil && n >= 0 {
			return &n
		}
	}
	return nil
}

// time returns the first of names that holds a time: milliseconds since 1970, or
// text in RFC 3339; the zero time when none does.
func (f fields) time(names ...string) time.Time {
	for _, name := range names {
		s := text(f[name])
		if ms, err := strconv.ParseInt(wholeNumber(s), 10, 64); err == nil && ms > 0 && ms < endOfTime {
			return time.UnixMilli(ms).UTC()
		}
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// wholeNumber writes a decimal number in plain digits, exactly, or returns "" when
// it is not whole or is longer than any id. The platform documents ids of the type
// Double, which Java writes as 4.2114492E7. OC: section 5.1.
func wholeNumber(s string) string {
	if len(s) > maxDigits || strings.Trim(s, "0123456789+-.eE") != "" {
		return ""
	}
	if _, exponent, found := strings.Cut(strings.ToLower(s), "e"); found {
		if n, err := strconv.Atoi(exponent); err != nil || n > maxDigits || n < -maxDigits {
			return ""
		}
	}
	n, ok := new(big.Rat).SetString(s)
	if !ok || !n.IsInt() {
		return ""
	}
	return n.Num().String()
}
