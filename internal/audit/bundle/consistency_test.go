package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
)

// grown seals a log at each size up to n and returns it and its checkpoints by size.
func grown(t testing.TB, n int) (*audittest.World, []audit.Checkpoint) {
	t.Helper()
	w := audittest.NewWorld(t, 0)
	all := []audit.Checkpoint{w.Seal(t)}
	for range n {
		w.Stream.Add(1)
		all = append(all, w.Seal(t))
	}
	return w, all
}

func consistency(t testing.TB, w *audittest.World, old, later audit.Checkpoint) bundle.Consistency {
	t.Helper()
	proof, err := w.Log.ProveTree(t.Context(), later.Tree, old.Tree.N)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Consistency{Origin: audittest.Origin, Old: old.Tree.N, New: later.Tree.N, Proof: proof}
}

// Every checkpoint of a log extends every earlier one, by a proof that survives its encoding and
// proves nothing about any other two.
func TestConsistencyOfAllSizes(t *testing.T) {
	w, all := grown(t, 20)
	other, _ := grown(t, 0)
	other.Stream.Add(20)
	other.Stream.Change(1, func(r *audit.Record) { r.Data = []byte("x") })
	forked := other.Seal(t)
	for i, old := range all {
		for _, later := range all[i:] {
			text, err := bundle.EncodeConsistency(consistency(t, w, old, later))
			if err != nil {
				t.Fatal(err)
			}
			c, err := bundle.ParseConsistency(text)
			if err != nil {
				t.Fatalf("%d to %d: %v", old.Tree.N, later.Tree.N, err)
			}
			if err := c.Check(old, later); err != nil {
				t.Errorf("%d to %d: %v", old.Tree.N, later.Tree.N, err)
			}
			for _, wrong := range all {
				if wrong.Tree.N != old.Tree.N && c.Check(wrong, later) == nil || wrong.Tree.N != later.Tree.N && c.Check(old, wrong) == nil {
					t.Errorf("the proof from %d to %d passes with size %d", old.Tree.N, later.Tree.N, wrong.Tree.N)
				}
			}
			if old.Tree.N > 0 && later.Tree.N == forked.Tree.N && !errors.Is(c.Check(old, forked), bundle.ErrInconsistent) {
				t.Errorf("the proof from %d passes with a fork", old.Tree.N)
			}
			c.Proof = append(slices.Clone(c.Proof), tlog.Hash{})
			if !errors.Is(c.Check(old, later), bundle.ErrInconsistent) {
				t.Errorf("the proof from %d to %d passes with a hash more", old.Tree.N, later.Tree.N)
			}
		}
	}
}

func TestEndsOfAHistory(t *testing.T) {
	w, all := grown(t, 5)
	b, err := w.Log.ProveAt(t.Context(), all[5], 2)
	if err != nil {
		t.Fatal(err)
	}
	file, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string][2][]byte{
		"a bundle and a checkpoint":      {file, all[3].Note},
		"a checkpoint and a bundle":      {all[3].Note, file},
		"two checkpoints":                {all[3].Note, all[5].Note},
		"the later one first":            {all[5].Note, all[3].Note},
		"a bundle without what is blank": {all[3].Note, compacted(t, file)},
	} {
		old, later, err := bundle.Ends(files, audittest.Keys(t))
		if err != nil || old.Tree != all[3].Tree || later.Tree != all[5].Tree {
			t.Errorf("%s: Ends = sizes %d and %d, %v, want 3 and 5", name, old.Tree.N, later.Tree.N, err)
		}
	}
	for name, row := range map[string]struct {
		file []byte
		want error
	}{
		"nothing":                  {nil, audit.ErrCheckpoint},
		"a checkpoint, cut":        {all[3].Note[:40], audit.ErrCheckpoint},
		"a checkpoint, changed":    {bytes.Replace(all[3].Note, []byte("\n3\n"), []byte("\n4\n"), 1), audit.ErrSignature},
		"a bundle of another form": {bytes.Replace(file, []byte("evidence/v1"), []byte("evidence/v2"), 1), audit.ErrBundle},
	} {
		if _, _, err := bundle.Ends([2][]byte{all[1].Note, row.file}, audittest.Keys(t)); !errors.Is(err, row.want) {
			t.Errorf("%s: Ends: error %v, want %v", name, err, row.want)
		}
	}
}

func compacted(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestParseConsistencyRefuses(t *testing.T) {
	w, all := grown(t, 5)
	text, err := bundle.EncodeConsistency(consistency(t, w, all[3], all[5]))
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the proof has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, data := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"a bundle":          string(bundled(t)),
		"another format":    replace("consistency/v1", "consistency/v2"),
		"an unknown key":    replace(`"proof"`, `"more": 1, "proof"`),
		"a key twice":       replace(`"old_size": 3,`, `"old_size": 3, "old_size": 3,`),
		"a key missing":     replace(`"new_size": 5,`, ""),
		"null for a proof":  good[:strings.Index(good, "[")] + "null}",
		"sizes that shrink": replace(`"old_size": 3`, `"old_size": 6`),
		"a negative size":   replace(`"old_size": 3`, `"old_size": -3`),
		"a size too large":  replace(`"new_size": 5`, `"new_size": 9223372036854775808`),
		"an exponent":       replace(`"new_size": 5`, `"new_size": 5e0`),
		"something after":   good + "{}",
	} {
		if _, err := bundle.ParseConsistency([]byte(data)); !errors.Is(err, audit.ErrBundle) {
			t.Errorf("%s: error %v, want ErrBundle", name, err)
		}
	}
}

// FuzzConsistency: no input makes it panic, and none passes but the one proof, white space apart.
func FuzzConsistency(f *testing.F) {
	w, all := grown(f, 7)
	text, err := bundle.EncodeConsistency(consistency(f, w, all[3], all[7]))
	if err != nil {
		f.Fatal(err)
	}
	good := compacted(f, text)
	f.Add(good)
	f.Add([]byte(`{"format":"receiver-consistency/v1","origin":"receiver/test/JOBS","old_size":0,"new_size":7,"proof":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := bundle.ParseConsistency(data)
		if err != nil {
			return
		}
		for _, old := range all {
			if c.Check(old, all[7]) == nil && old.Tree.N == 3 && !bytes.Equal(compacted(t, data), good) {
				t.Fatalf("another proof passes: %q", data)
			}
		}
	})
}
