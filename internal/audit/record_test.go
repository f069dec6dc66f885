package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
)

// vector is one row of testdata/leaf-vectors.json, which was computed by a separate program
// (Python) from docs/evidence.md alone. Names, values and data are as in a bundle.
type vector struct {
	Name   string
	Record *struct {
		Stream, Subject string
		Sequence        uint64
		Time            time.Time
		Header          [][]wireText
		Data            []byte
	}
	Absent *struct {
		Stream   string
		Sequence uint64
	}
	Leaf string
	Hash tlog.Hash
}

// wireText is a JSON string, or {"base64": …} for bytes that are no UTF-8.
type wireText string

func (w *wireText) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(w))
	}
	var o struct{ Base64 []byte }
	err := json.Unmarshal(b, &o)
	*w = wireText(o.Base64)
	return err
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/leaf-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Name == "" || (v.Record == nil) == (v.Absent == nil) {
			t.Fatalf("vector %q has not one of record and absent", v.Name)
		}
	}
	return all
}

func (v vector) record() audit.Record {
	r := audit.Record{
		Stream: v.Record.Stream, Seq: v.Record.Sequence, Subject: v.Record.Subject,
		Time: v.Record.Time, Data: v.Record.Data, Header: map[string][]string{},
	}
	for _, line := range v.Record.Header {
		values := []string{}
		for _, value := range line[1:] {
			values = append(values, string(value))
		}
		r.Header[string(line[0])] = values
	}
	return r
}

func TestLeafVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			leaf := audit.AbsentLeaf("JOBS", 3)
			if v.Record != nil {
				var err error
				if leaf, err = v.record().AppendLeaf(nil); err != nil {
					t.Fatal(err)
				}
				if got, err := v.record().LeafHash(); err != nil || got != v.Hash {
					t.Errorf("LeafHash = %s, %v, want %s", got, err, v.Hash)
				}
			}
			if got := hex.EncodeToString(leaf); got != v.Leaf {
				t.Errorf("leaf = %s, want %s", got, v.Leaf)
			}
			if got := tlog.RecordHash(leaf); got != v.Hash {
				t.Errorf("hash = %s, want %s", got, v.Hash)
			}
			_, absent, err := audit.ParseLeaf(leaf)
			if err != nil || absent != (v.Absent != nil) {
				t.Errorf("ParseLeaf = absent %v, %v, want %v", absent, err, v.Absent != nil)
			}
		})
	}
}

// Every field counts, and no byte can move from one field to its neighbour.
func TestLeafIsInjective(t *testing.T) {
	base := audittest.Record(5)
	edits := map[string]func(*audit.Record){
		"base":                func(*audit.Record) {},
		"stream":              func(r *audit.Record) { r.Stream = "ATTEMPTS" },
		"sequence":            func(r *audit.Record) { r.Seq++ },
		"subject":             func(r *audit.Record) { r.Subject += "x" },
		"a nanosecond":        func(r *audit.Record) { r.Time = r.Time.Add(1) },
		"data":                func(r *audit.Record) { r.Data = append([]byte(nil), "x"...) },
		"no header":           func(r *audit.Record) { r.Header = nil },
		"case of a name":      func(r *audit.Record) { r.Header = map[string][]string{"CE-ID": {"5"}} },
		"name":                func(r *audit.Record) { r.Header = map[string][]string{"ce-id": {"5"}} },
		"two values":          func(r *audit.Record) { r.Header = map[string][]string{"ce-id": {"5", ""}} },
		"values swapped":      func(r *audit.Record) { r.Header = map[string][]string{"ce-id": {"", "5"}} },
		"no value":            func(r *audit.Record) { r.Header = map[string][]string{"ce-id": {}} },
		"value into name":     func(r *audit.Record) { r.Header = map[string][]string{"ce-id5": {""}} },
		"value is a name":     func(r *audit.Record) { r.Header = map[string][]string{"5": {"ce-id"}} },
		"two names":           func(r *audit.Record) { r.Header = map[string][]string{"ce-id": {}, "5": {}} },
		"data into subject":   func(r *audit.Record) { r.Subject += string(r.Data); r.Data = nil },
		"subject into stream": func(r *audit.Record) { r.Stream += r.Subject; r.Subject = "" },
	}
	seen := map[string]string{string(audit.AbsentLeaf("JOBS", 5)): "absent"}
	for name, edit := range edits {
		r := base
		edit(&r)
		leaf, err := r.AppendLeaf(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, ok := seen[string(leaf)]; ok {
			t.Errorf("%q and %q have one leaf", name, other)
		}
		seen[string(leaf)] = name
	}
}

func TestLeafIgnoresWhatIsNotTheRecord(t *testing.T) {
	want, err := audit.Record{Stream: "S", Seq: 1, Time: audittest.Start}.LeafHash()
	if err != nil {
		t.Fatal(err)
	}
	same := audit.Record{
		Stream: "S", Seq: 1, Header: map[string][]string{}, Data: []byte{},
		Time: audittest.Start.In(time.FixedZone("elsewhere", 3600)),
	}
	if got, err := same.LeafHash(); err != nil || got != want {
		t.Errorf("LeafHash of the same record written differently = %s, %v, want %s", got, err, want)
	}
}

func TestLeafRefusesTimesOutOfRange(t *testing.T) {
	for _, at := range []time.Time{{}, time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := (audit.Record{Time: at}).AppendLeaf(nil); !errors.Is(err, audit.ErrUnencodable) {
			t.Errorf("AppendLeaf at %s: error %v, want ErrUnencodable", at, err)
		}
	}
}

func TestParseLeafRefuses(t *testing.T) {
	good, err := audittest.Record(1).AppendLeaf(nil)
	if err != nil {
		t.Fatal(err)
	}
	unsorted := bytes.Replace(good, []byte("ce-id"), []byte("ze-id"), 1)
	bad := map[string][]byte{
		"nothing":        nil,
		"only the tag":   []byte("receiver-leaf/v1\n"),
		"another tag":    bytes.Replace(good, []byte("v1"), []byte("v2"), 1),
		"unknown kind":   bytes.Replace(good, []byte("\nR"), []byte("\nX"), 1),
		"unsorted names": unsorted,
		"a byte more":    append(bytes.Clone(good), 0),
		"absent, longer": append(audit.AbsentLeaf("JOBS", 1), 0),
	}
	for n := range good {
		if _, _, err := audit.ParseLeaf(good[:n]); !errors.Is(err, audit.ErrLeaf) {
			t.Fatalf("ParseLeaf of the first %d bytes: error %v, want ErrLeaf", n, err)
		}
	}
	for name, leaf := range bad {
		if _, _, err := audit.ParseLeaf(leaf); !errors.Is(err, audit.ErrLeaf) {
			t.Errorf("%s: error %v, want ErrLeaf", name, err)
		}
	}
}

// FuzzLeaf: whatever ParseLeaf accepts is the one encoding of what it returns. With
// determinism of the encoder that makes the encoding injective.
func FuzzLeaf(f *testing.F) {
	for _, v := range vectors(f) {
		leaf, _ := hex.DecodeString(v.Leaf)
		f.Add(leaf)
	}
	f.Fuzz(func(t *testing.T, leaf []byte) {
		r, absent, err := audit.ParseLeaf(leaf)
		if err != nil {
			return
		}
		again := audit.AbsentLeaf(r.Stream, r.Seq)
		if !absent {
			if again, err = r.AppendLeaf(nil); err != nil {
				t.Fatalf("accepted leaf cannot be encoded: %v", err)
			}
		}
		if !bytes.Equal(again, leaf) {
			t.Fatalf("leaf %s re-encodes as %s", base64.StdEncoding.EncodeToString(leaf), base64.StdEncoding.EncodeToString(again))
		}
	})
}
