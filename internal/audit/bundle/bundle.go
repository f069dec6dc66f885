// Package bundle writes and reads proof bundles: audit.Bundle as a JSON file that can be checked
// without a receiver. docs/evidence.md has the format.
//
// It proves nothing: that is audit.Bundle.Check.
package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// format is the version of the proof bundle. A change of anything in it changes this.
const format = "receiver-evidence/v1"

// bundleTime always has nine digits of fraction, so that an instant has one form.
const bundleTime = "2006-01-02T15:04:05.000000000Z"

type wireBundle struct {
	Format     string       `json:"format"`
	Checkpoint string       `json:"checkpoint"`
	First      uint64       `json:"first_sequence"`
	Records    []wireRecord `json:"records"`
}

type wireRecord struct {
	Stream   wireText     `json:"stream"`
	Sequence uint64       `json:"sequence"`
	Subject  wireText     `json:"subject"`
	Time     string       `json:"time"`
	Header   [][]wireText `json:"header"` // name, values…; in ascending order of names
	Data     []byte       `json:"data"`
	Proof    []tlog.Hash  `json:"proof"`
}

// wireText is any bytes: a JSON string if they are UTF-8, else {"base64":"…"}.
type wireText string

// MarshalJSON implements json.Marshaler.
func (t wireText) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return marshal(string(t))
	}
	return marshal(map[string][]byte{"base64": []byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler. It is lenient: Parse compares.
func (t *wireText) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, (*string)(t))
	}
	var other struct {
		Base64 []byte `json:"base64"`
	}
	err := json.Unmarshal(b, &other)
	*t = wireText(other.Base64)
	return err
}

// Encode writes a bundle as JSON, indented for people.
func Encode(b audit.Bundle) ([]byte, error) { return indented(wireOf(b)) }

func indented(w any) ([]byte, error) {
	line, err := marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, line, "", "  "); err != nil {
		return nil, fmt.Errorf("encoding evidence: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// canonical returns audit.ErrBundle unless the data is what was read from it, white space apart.
func canonical(data []byte, read any) error {
	want, err := marshal(read)
	if err != nil {
		return fmt.Errorf("encoding evidence: %w", err)
	}
	return checkForm(data, want)
}

func wireOf(b audit.Bundle) wireBundle {
	w := wireBundle{Format: format, Checkpoint: string(b.Checkpoint), First: b.First}
	for _, e := range b.Entries {
		w.Records = append(w.Records, wire(e))
	}
	return w
}

func wire(e audit.Entry) wireRecord {
	w := wireRecord{
		Stream: wireText(e.Stream), Sequence: e.Seq, Subject: wireText(e.Subject),
		Time:   e.Time.UTC().Format(bundleTime),
		Header: [][]wireText{},
		Data:   append([]byte{}, e.Data...),
		Proof:  append([]tlog.Hash{}, e.Proof...),
	}
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		line := []wireText{wireText(name)}
		for _, v := range e.Header[name] {
			line = append(line, wireText(v))
		}
		w.Header = append(w.Header, line)
	}
	return w
}

// Parse reads what Encode wrote, and refuses with audit.ErrBundle whatever Encode would not
// write: unknown, missing, repeated and reordered keys, other spellings of numbers, times,
// base64 and strings, and anything after the end. It checks no proof.
func Parse(data []byte) (audit.Bundle, error) {
	var w wireBundle
	if err := json.Unmarshal(data, &w); err != nil {
		return audit.Bundle{}, unread(data, err)
	}
	if w.Format != format {
		return audit.Bundle{}, fmt.Errorf("%w: format %q, want %q", audit.ErrBundle, w.Format, format)
	}
	b := audit.Bundle{Checkpoint: []byte(w.Checkpoint), First: w.First}
	for _, r := range w.Records {
		e, err := r.entry()
		if err != nil {
			return audit.Bundle{}, err
		}
		b.Entries = append(b.Entries, e)
	}
	if err := canonical(data, wireOf(b)); err != nil {
		return audit.Bundle{}, err
	}
	return b, nil
}

func (w wireRecord) entry() (audit.Entry, error) {
	at, err := time.Parse(bundleTime, w.Time)
	if err != nil {
		return audit.Entry{}, fmt.Errorf("%w: sequence %d: time %.40q is not of the form %s", audit.ErrBundle, w.Sequence, w.Time, bundleTime)
	}
	e := audit.Entry{Proof: w.Proof, Record: audit.Record{
		Stream: string(w.Stream), Seq: w.Sequence, Subject: string(w.Subject),
		Time: at, Header: make(map[string][]string), Data: w.Data,
	}}
	for _, line := range w.Header {
		if len(line) == 0 {
			return audit.Entry{}, fmt.Errorf("%w: sequence %d: header without a name", audit.ErrBundle, w.Sequence)
		}
		var values []string
		for _, v := range line[1:] {
			values = append(values, string(v))
		}
		e.Header[string(line[0])] = values
	}
	return e, nil
}

// marshal is json.Marshal without the escapes that are for browsers.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
