package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// bundleFormat is the version of the proof bundle. A change of anything in it changes this.
const bundleFormat = "receiver-evidence/v1"

// bundleTime always has nine digits of fraction, so that an instant has one form.
const bundleTime = "2006-01-02T15:04:05.000000000Z"

// ErrBundle is returned for bytes that are no proof bundle in its one form. A bundle that differs
// only in white space between JSON tokens has the same form.
var ErrBundle = errors.New("malformed evidence bundle")

// Bundle is a self-contained proof that records stand in a log: it can be checked years
// later, on a machine that has nothing but the log's public key.
type Bundle struct {
	Checkpoint []byte  // the signed note, cosignatures included
	First      uint64  // sequence of the log's leaf 0
	Entries    []Entry // in ascending sequence; at least one
}

// Entry is one record and the proof that its leaf is in the tree of the checkpoint.
type Entry struct {
	Record
	Proof tlog.RecordProof
}

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

// UnmarshalJSON implements json.Unmarshaler. It is lenient: ParseBundle compares.
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

// Encode writes the bundle as JSON, indented for people.
func (b Bundle) Encode() ([]byte, error) {
	compact, err := b.compact()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, fmt.Errorf("encoding bundle: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func (b Bundle) compact() ([]byte, error) {
	w := wireBundle{Format: bundleFormat, Checkpoint: string(b.Checkpoint), First: b.First}
	for _, e := range b.Entries {
		w.Records = append(w.Records, e.wire())
	}
	out, err := marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding bundle: %w", err)
	}
	return out, nil
}

func (e Entry) wire() wireRecord {
	w := wireRecord{
		Stream: wireText(e.Stream), Sequence: e.Seq, Subject: wireText(e.Subject),
		Time:   e.Time.UTC().Format(bundleTime),
		Header: [][]wireText{},
		Data:   append([]byte{}, e.Data...),
		Proof:  append([]tlog.Hash{}, e.Proof...),
	}
	for _, name := range headerNames(e.Header) {
		line := []wireText{wireText(name)}
		for _, v := range e.Header[name] {
			line = append(line, wireText(v))
		}
		w.Header = append(w.Header, line)
	}
	return w
}

// ParseBundle reads what Encode wrote, and refuses with ErrBundle whatever Encode would not
// write: unknown, missing, repeated and reordered keys, other spellings of numbers, times,
// base64 and strings, and anything after the end. It checks no proof.
func ParseBundle(data []byte) (Bundle, error) {
	var w wireBundle
	if err := json.Unmarshal(data, &w); err != nil {
		return Bundle{}, fmt.Errorf("%w: %v", ErrBundle, err)
	}
	if w.Format != bundleFormat {
		return Bundle{}, fmt.Errorf("%w: format %q, want %q", ErrBundle, w.Format, bundleFormat)
	}
	b := Bundle{Checkpoint: []byte(w.Checkpoint), First: w.First}
	for _, r := range w.Records {
		e, err := r.entry()
		if err != nil {
			return Bundle{}, err
		}
		b.Entries = append(b.Entries, e)
	}
	var got bytes.Buffer
	if err := json.Compact(&got, data); err != nil {
		return Bundle{}, fmt.Errorf("%w: %v", ErrBundle, err)
	}
	want, err := b.compact()
	if err != nil {
		return Bundle{}, err
	}
	if !bytes.Equal(got.Bytes(), want) {
		return Bundle{}, fmt.Errorf("%w: it is not in the canonical form", ErrBundle)
	}
	return b, nil
}

func (w wireRecord) entry() (Entry, error) {
	at, err := time.Parse(bundleTime, w.Time)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: sequence %d: time %q", ErrBundle, w.Sequence, w.Time)
	}
	e := Entry{Proof: w.Proof, Record: Record{
		Stream: string(w.Stream), Seq: w.Sequence, Subject: string(w.Subject),
		Time: at, Header: make(map[string][]string), Data: w.Data,
	}}
	for _, line := range w.Header {
		if len(line) == 0 {
			return Entry{}, fmt.Errorf("%w: sequence %d: header without a name", ErrBundle, w.Sequence)
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
