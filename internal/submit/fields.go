package submit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"receiver/internal/job"
)

const jsonSpace = " \t\r\n"

// object reads b as a JSON object; it may begin with a byte order mark. Package job interprets its
// members, here as in callbacks.
func object(b []byte) (job.Fields, error) {
	f, err := job.ReadFields(b)
	if err == nil {
		return f, nil
	}
	b = trimmed(b)
	switch {
	case len(b) == 0:
		return nil, errors.New("it is empty")
	case b[0] != '{':
		return nil, notJSON(b, "object")
	}
	return nil, fmt.Errorf("it is not a valid JSON object: %w", err)
}

// trimmed is a text without the white space and the mark around its JSON.
func trimmed(b []byte) []byte { return bytes.Trim(job.WithoutMark(b), jsonSpace) }

// array reads b as a JSON array. Nothing, and null, are none: an empty one is written [], and
// what a proxy or a platform in trouble leaves out must not look like that.
func array(b []byte) ([]json.RawMessage, error) {
	b = trimmed(b)
	if len(b) == 0 {
		return nil, errors.New("it is empty; a list without entries is []")
	}
	if b[0] != '[' {
		return nil, notJSON(b, "array")
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("it is not a JSON array: %w", err)
	}
	return rows, nil
}

// notJSON describes the text that is not the wanted kind of JSON. It shows no JSON, which may hold
// callback URLs.
func notJSON(b []byte, wanted string) error {
	if b[0] == '{' || b[0] == '[' || b[0] == '"' {
		return fmt.Errorf("it is JSON, but not a JSON %s", wanted)
	}
	begins := redacted(string(b[:min(len(b), maxShown)]))
	return fmt.Errorf("it is not a valid JSON %s; it begins with %q", wanted, begins[:min(len(begins), 40)])
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
