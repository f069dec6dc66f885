package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
	"receiver/internal/audit/logkey"
)

// awkward is a record whose strings are hard to write as JSON.
func awkward(seq uint64) audit.Record {
	r := audittest.Record(seq)
	r.Header = map[string][]string{
		"plain":       {"a", "", "b"},
		"none":        {},
		"<&>\u2028\"": {"\x00\x1f\x7f\t\\"},
		"latin \xe9":  {"\xff", "caf\u00e9", "\ufffd"},
	}
	r.Data = []byte{0, 0xff, '\r', '\n'}
	return r
}

// bundled returns an encoded bundle of two records out of 300, one of them awkward.
func bundled(t testing.TB) []byte {
	t.Helper()
	w := audittest.NewWorld(t, 300)
	w.Stream.Change(270, func(r *audit.Record) { *r = awkward(270) })
	w.Seal(t)
	b, err := w.Log.Prove(t.Context(), 270, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBundleProvesItsRecords(t *testing.T) {
	for _, n := range []int{1, 2, 3, 256, 257, 600} {
		w := audittest.NewWorld(t, n)
		cp := w.Seal(t)
		for _, seq := range []uint64{1, uint64(n/2 + 1), uint64(n)} {
			b, err := w.Log.Prove(t.Context(), seq)
			if err != nil {
				t.Fatalf("Prove(%d) of %d: %v", seq, n, err)
			}
			c, err := b.Check(audittest.Keys(t), nil)
			if err != nil || c.Checkpoint.Tree != cp.Tree {
				t.Errorf("Check of %d of %d: %v, %v", seq, n, c.Checkpoint.Tree, err)
			}
		}
	}
}

func TestBundleSurvivesItsEncoding(t *testing.T) {
	b, err := bundle.Parse(bundled(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(audittest.Keys(t), nil); err != nil {
		t.Errorf("Check: %v", err)
	}
	if len(b.Entries) != 2 || b.First != 1 {
		t.Fatalf("bundle of %d records from %d on, want 2 from 1 on", len(b.Entries), b.First)
	}
	for i, want := range []audit.Record{audittest.Record(3), awkward(270)} {
		got := b.Entries[i].Record
		got.Header["none"], want.Header["none"] = nil, nil // nil and empty are the same
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d = %+v, want %+v", i, got, want)
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, bundled(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Parse(compact.Bytes()); err != nil {
		t.Errorf("without white space: %v", err)
	}
}

func TestBundleAtAnOlderCosignedCheckpoint(t *testing.T) {
	w := audittest.NewWorld(t, 260)
	old := w.Seal(t)
	witness := audittest.NewWitnessKey("witness.example/w1")
	text, _, _ := strings.Cut(string(old.Note), "\n\n")
	keys := audittest.Keys(t, witness.VerifierKey())
	cosigned, err := audit.OpenCheckpoint(audittest.SignedNote(t, text+"\n", audittest.Signer(t), witness), keys)
	if err != nil {
		t.Fatal(err)
	}
	w.Stream.Add(500)
	w.Seal(t)
	b, err := w.Log.ProveAt(t.Context(), cosigned, 258)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Check(keys, nil)
	if err != nil || len(c.Checkpoint.Cosignatures) != 1 || c.Checkpoint.Tree.N != 260 {
		t.Errorf("Check = %+v, %v, want one cosignature on 260 leaves", c.Checkpoint, err)
	}
	if _, err := w.Log.ProveAt(t.Context(), cosigned, 261); !errors.Is(err, audit.ErrNotSealed) {
		t.Errorf("a record after that checkpoint: error %v, want ErrNotSealed", err)
	}
}

func TestProveRefuses(t *testing.T) {
	rows := []struct {
		name   string
		change func(w *audittest.World)
		seqs   []uint64
		want   error
	}{
		{"nothing", func(*audittest.World) {}, nil, audit.ErrNoRecord},
		{"before the first", func(*audittest.World) {}, []uint64{0}, audit.ErrNoRecord},
		{"deleted", func(w *audittest.World) { w.Stream.Remove(5) }, []uint64{5}, audit.ErrNoRecord},
		{"not sealed yet", func(w *audittest.World) { w.Stream.Add(1) }, []uint64{1, 301}, audit.ErrNotSealed},
		{"never there", func(*audittest.World) {}, []uint64{1 << 63}, audit.ErrNoRecord},
		{"the next after the last", func(*audittest.World) {}, []uint64{301}, audit.ErrNoRecord},
		{"one of two never there", func(*audittest.World) {}, []uint64{5, 99_999}, audit.ErrNoRecord},
		{"removed before it was sealed", func(w *audittest.World) { w.Stream.Add(2); w.Stream.Remove(301) }, []uint64{301}, audit.ErrNoRecord},
		{"never there, without a checkpoint", func(w *audittest.World) { w.Checkpoints.Set(nil) }, []uint64{301}, audit.ErrNoRecord},
		{"changed", func(w *audittest.World) { w.Stream.Change(5, func(r *audit.Record) { r.Data = nil }) }, []uint64{5}, audit.ErrProof},
		{"its tile changed", func(w *audittest.World) { w.Store.Files["tile/0/000"][0] ^= 1 }, []uint64{5}, audit.ErrTile},
		{"its tile missing", func(w *audittest.World) { delete(w.Store.Files, "tile/0/000") }, []uint64{5}, audit.ErrTile},
		{"no checkpoint", func(w *audittest.World) { w.Checkpoints.Set(nil) }, []uint64{5}, audit.ErrNoCheckpoint},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 300)
			w.Seal(t)
			row.change(w)
			if _, err := w.Log.Prove(t.Context(), row.seqs...); !errors.Is(err, row.want) {
				t.Errorf("Prove(%v): error %v, want %v", row.seqs, err, row.want)
			}
		})
	}
}

func TestBundleCheckRefuses(t *testing.T) {
	stranger, _ := logkey.Generate("test")
	strangerKeys, err := audit.ParseKeys([]string{stranger.VerifierKey(audittest.Origin)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse := errors.New("no key made this signature")
	rows := []struct {
		name     string
		edit     func(b *audit.Bundle)
		keys     audit.Keys
		reverify func(audit.Record) error
		want     error
	}{
		{"another key", nil, strangerKeys, nil, audit.ErrSignature},
		{"no key", nil, audit.Keys{}, nil, audit.ErrSignature},
		{"no record", func(b *audit.Bundle) { b.Entries = nil }, audittest.Keys(t), nil, audit.ErrBundle},
		{"a record twice", func(b *audit.Bundle) { b.Entries[1] = b.Entries[0] }, audittest.Keys(t), nil, audit.ErrBundle},
		{"another body", func(b *audit.Bundle) { b.Entries[0].Data = []byte("x") }, audittest.Keys(t), nil, audit.ErrProof},
		{"another time", func(b *audit.Bundle) { b.Entries[0].Time = audittest.Start }, audittest.Keys(t), nil, audit.ErrProof},
		{"another sequence", func(b *audit.Bundle) { b.Entries[0].Seq = 4 }, audittest.Keys(t), nil, audit.ErrProof},
		{"sequence and first shifted", func(b *audit.Bundle) { b.First++; b.Entries[0].Seq++ }, audittest.Keys(t), nil, audit.ErrProof},
		{"sequence beyond the tree", func(b *audit.Bundle) { b.Entries[1].Seq = 301 }, audittest.Keys(t), nil, audit.ErrProof},
		{"sequence before the first", func(b *audit.Bundle) { b.First = 4 }, audittest.Keys(t), nil, audit.ErrProof},
		{"another stream", func(b *audit.Bundle) { b.Entries[0].Stream = "ATTEMPTS" }, audittest.Keys(t), nil, audit.ErrProof},
		{"no stream", func(b *audit.Bundle) { b.Entries[0].Stream = "" }, audittest.Keys(t), nil, audit.ErrProof},
		{"proof cut", func(b *audit.Bundle) { b.Entries[0].Proof = b.Entries[0].Proof[1:] }, audittest.Keys(t), nil, audit.ErrProof},
		{"proof changed", func(b *audit.Bundle) { b.Entries[0].Proof[2][0] ^= 1 }, audittest.Keys(t), nil, audit.ErrProof},
		{"checkpoint changed", func(b *audit.Bundle) { b.Checkpoint[25] ^= 1 }, audittest.Keys(t), nil, audit.ErrSignature},
		{"refused by reverify", nil, audittest.Keys(t), func(audit.Record) error { return refuse }, refuse},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b, err := bundle.Parse(bundled(t))
			if err != nil {
				t.Fatal(err)
			}
			if row.edit != nil {
				row.edit(&b)
			}
			if _, err := b.Check(row.keys, row.reverify); !errors.Is(err, row.want) {
				t.Errorf("Check: error %v, want %v", err, row.want)
			}
		})
	}
}

// The holder of the log's key can claim any number of leaves. Nothing is proved by that, and no
// proof or check of one goes on for ever.
func TestNothingIsProvedOfCountlessLeaves(t *testing.T) {
	keys := audittest.Keys(t)
	for _, leaves := range []int64{1 << 62, 1<<62 + 1, math.MaxInt64} {
		w, all := grown(t, 3)
		b, err := w.Log.Prove(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		b.Checkpoint = audittest.HugeCheckpoint(t, leaves)
		if _, err := b.Check(keys, nil); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%d leaves: Check = %v, want ErrProof", leaves, err)
		}
		huge, err := audit.OpenCheckpoint(b.Checkpoint, keys)
		if err != nil {
			t.Fatal(err)
		}
		c := bundle.Consistency{Origin: huge.Origin, Old: 2, New: leaves, Proof: make(tlog.TreeProof, 3)}
		if err := c.Check(all[2], huge); !errors.Is(err, bundle.ErrInconsistent) {
			t.Errorf("%d leaves: Check of a consistency proof = %v, want ErrInconsistent", leaves, err)
		}
		if _, err := w.Log.ProveAt(t.Context(), huge, 2); !errors.Is(err, audit.ErrTile) {
			t.Errorf("%d leaves: ProveAt = %v, want ErrTile", leaves, err)
		}
		if err := w.Log.Extends(t.Context(), huge, all[2]); !errors.Is(err, audit.ErrTile) {
			t.Errorf("%d leaves: Extends = %v, want ErrTile", leaves, err)
		}
	}
}

func TestBundleCheckCountsWhatWasReverified(t *testing.T) {
	b, err := bundle.Parse(bundled(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.Check(audittest.Keys(t), func(r audit.Record) error {
		if r.Seq == 3 {
			return audit.ErrNotChecked
		}
		return nil
	})
	if err != nil || c.Reverified != 1 || c.NotChecked != 1 {
		t.Errorf("Check = %d reverified, %d not checked, %v, want 1 and 1", c.Reverified, c.NotChecked, err)
	}
}

func TestParseBundleRefuses(t *testing.T) {
	good := string(bundled(t))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the bundle has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	rows := map[string]string{
		"nothing":                "",
		"null":                   "null",
		"an array":               "[]",
		"another format":         replace("receiver-evidence/v1", "receiver-evidence/v2"),
		"an unknown key":         replace(`"first_sequence"`, `"more": 1, "first_sequence"`),
		"a key in another case":  replace(`"first_sequence"`, `"First_sequence"`),
		"a key twice":            replace(`"sequence": 3,`, `"sequence": 4, "sequence": 3,`),
		"a key missing":          replace(`"first_sequence": 1,`, ""),
		"keys in another order":  strings.Replace(replace(`"first_sequence": 1,`, ""), `"format"`, `"first_sequence": 1, "format"`, 1),
		"something after":        good + "{}",
		"a zero before":          replace(`"sequence": 3,`, `"sequence": 03,`),
		"an exponent":            replace(`"sequence": 3,`, `"sequence": 3e0,`),
		"a fraction":             replace(`"sequence": 3,`, `"sequence": 3.0,`),
		"a negative number":      replace(`"sequence": 3,`, `"sequence": -3,`),
		"a number as a string":   replace(`"sequence": 3,`, `"sequence": "3",`),
		"another time zone":      replace(`:02.123456789Z"`, `:02.123456789+00:00"`),
		"a comma in the time":    replace(`:02.123456789Z"`, `:02,123456789Z"`),
		"a short fraction":       replace(`:02.123456789Z"`, `:02.12345678Z"`),
		"an escape not needed":   replace(`"JOBS"`, `"\u004aOBS"`),
		"null for text":          replace(`"JOBS"`, `null`),
		"base64 for plain text":  replace(`"JOBS"`, `{"base64":"Sk9CUw=="}`),
		"base64 across lines":    replace(`"data": "ey`, `"data": "e\ny`),
		"base64 unpadded":        replace(`"AP8NCg=="`, `"AP8NCg"`),
		"base64 trailing bits":   replace(`"AP8NCg=="`, `"AP8NCh=="`),
		"null for data":          replace(`"AP8NCg=="`, `null`),
		"a lone surrogate":       replace("\ufffd", `\ud800`),
		"bytes that are no text": replace("\ufffd", "\xff"),
		"header without a name":  replace(`"header": [`, `"header": [[],`),
		"header names unsorted":  replace(`"none"`, `"zone"`),
		"header name twice":      replace(`"none"`, `"plain"`),
		"header as an object":    replace(`"header": [`, `"header": {}, "x": [`),
		"deeply nested":          strings.Repeat("[", 100000),
	}
	for name, data := range rows {
		if _, err := bundle.Parse([]byte(data)); !errors.Is(err, audit.ErrBundle) {
			t.Errorf("%s: error %v, want ErrBundle", name, err)
		}
	}
}

// A bundle that another program has written again is refused with the place, and with the form that
// is meant.
func TestARewrittenBundleIsRefusedWithItsForm(t *testing.T) {
	good := bundled(t)
	var anything any
	if err := json.Unmarshal(good, &anything); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(anything)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string { return strings.Replace(string(good), old, new, 1) }
	for name, row := range map[string]struct{ data, place, form string }{
		"keys in order of their names":   {string(sorted), "line 1, byte 3: `{\"checkpoint\":\"rec` should be `{\"format\":\"receive`", "its keys in its order"},
		"ASCII only":                     {replace("\u2014", `\u2014`), "line 3, byte ", "without needless escapes"},
		"escapes for browsers":           {replace("<&>", `\u003c\u0026\u003e`), "line 41, byte 12: `", "` should be `9Z\",\"header\":[[\"<&>"},
		"a fraction":                     {replace(`"sequence": 3,`, `"sequence": 3.0,`), "line 8, byte 22: records.sequence is of another type (number 3.0)", "plain decimal"},
		"an exponent":                    {replace(`"sequence": 3,`, `"sequence": 3e0,`), "line 8, byte 22: records.sequence", "plain decimal"},
		"a key twice":                    {replace(`"sequence": 3,`, `"sequence": 3, "sequence": 3,`), "line 8, byte 24: `,\"sequence\":3,\"sequence\":3,\"subj` should be `,\"sequence\":3,\"subject\":\"jobs.de`", "any white space"},
		"the last record twice":          {replace("  ]\n}", "  ],\n  \"more\": 1\n}"), "line ", "should be `"},
		"another time zone":              {replace(`:02.123456789Z"`, `:02.123456789+00:00"`), `sequence 3: time "`, "is not of the form 2006-01-02T15:04:05.000000000Z"},
		"cut":                            {string(good[:500]), "line ", "it is no JSON: unexpected end"},
		"a list":                         {"\n\n []", "line 3, byte ", "it is of another type (array)"},
		"white space of another program": {strings.ReplaceAll(string(good), "\n  ", "\r\n\t"), "", ""},
	} {
		_, err := bundle.Parse([]byte(row.data))
		if row.place == "" && err == nil {
			continue
		}
		if !errors.Is(err, audit.ErrBundle) || !strings.Contains(err.Error(), row.place) || !strings.Contains(err.Error(), row.form) {
			t.Errorf("%s: error %v, want %s and %s", name, err, row.place, row.form)
		}
	}
}

// passes reports whether the data is a bundle that proves something.
func passes(data []byte, keys audit.Keys) bool {
	b, err := bundle.Parse(data)
	if err != nil {
		return false
	}
	_, err = b.Check(keys, nil)
	return err == nil
}

// sameBundle reports whether two texts differ in white space at most.
func sameBundle(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func TestNoByteOfABundleCanBeChanged(t *testing.T) {
	keys := audittest.Keys(t)
	var compact bytes.Buffer
	if err := json.Compact(&compact, bundled(t)); err != nil {
		t.Fatal(err)
	}
	good := compact.Bytes()
	for i := range good {
		for _, bits := range []byte{0x01, 0x20} {
			bad := bytes.Clone(good)
			bad[i] ^= bits
			if passes(bad, keys) && !sameBundle(bad, good) {
				t.Errorf("byte %d changed from %q to %q: the bundle still passes", i, good[i], bad[i])
			}
		}
		cut := append(bytes.Clone(good[:i]), good[i+1:]...)
		if passes(cut, keys) && !sameBundle(cut, good) {
			t.Errorf("byte %d (%q) removed: the bundle still passes", i, good[i])
		}
	}
}

// FuzzBundle: no input makes it panic, and none passes but the bundle that the log signed.
// A signature line of an unknown key is the one thing that can be added: signed notes must
// ignore those, and Check reports no cosignature for them.
func FuzzBundle(f *testing.F) {
	w, keys := audittest.NewWorld(f, 3), audittest.Keys(f)
	w.Seal(f)
	want, err := w.Log.Prove(f.Context(), 2)
	if err != nil {
		f.Fatal(err)
	}
	good, err := bundle.Encode(want)
	if err != nil {
		f.Fatal(err)
	}
	var compact bytes.Buffer // short seeds are mutated faster
	if err := json.Compact(&compact, good); err != nil {
		f.Fatal(err)
	}
	f.Add(compact.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Parse(data)
		if err != nil {
			return
		}
		c, err := b.Check(keys, nil)
		if err != nil {
			return
		}
		if len(c.Checkpoint.Cosignatures) != 0 || !strings.Contains(string(b.Checkpoint), string(want.Checkpoint)) {
			t.Fatalf("accepted checkpoint %q", b.Checkpoint)
		}
		if len(b.Entries) != 1 || b.First != 1 || !reflect.DeepEqual(b.Entries[0], want.Entries[0]) {
			t.Fatalf("accepted records that were never sealed: %+v", b.Entries)
		}
	})
}
