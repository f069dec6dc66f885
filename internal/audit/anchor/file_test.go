package anchor_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
)

// threeCheckpoints are of one log at three sizes.
func threeCheckpoints(t testing.TB) []audit.Checkpoint {
	t.Helper()
	w := audittest.NewWorld(t, 0)
	var all []audit.Checkpoint
	for _, k := range w.KeptAt(t, 1, 2, 300) {
		cp, err := audit.OpenCheckpoint(k.Note, audittest.Keys(t))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cp)
	}
	return all
}

func TestCheckpointFileKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "JOBS.checkpoints")
	if _, err := anchor.ReadFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there is one: error %v, want fs.ErrNotExist", err)
	}
	all := threeCheckpoints(t)
	for i, cp := range all {
		given := 0
		f, err := anchor.OpenFile(path, func(k audit.Kept) error { // every time as after a restart
			if string(k.Note) != string(all[given].Note) || k.Where != fmt.Sprintf("%s, note %d", path, given+1) {
				t.Errorf("given %+v as note %d, want %q", k, given+1, all[given].Note)
			}
			given++
			return nil
		})
		if err != nil || given != i {
			t.Fatalf("OpenFile = %v with %d notes given, want %d", err, given, i)
		}
		if want := last(all[:i]); string(f.Last()) != want {
			t.Errorf("Last = %q, want %q", f.Last(), want)
		}
		for range 2 { // the second time changes nothing
			if err := f.Publish(t.Context(), cp); err != nil {
				t.Fatal(err)
			}
		}
		if string(f.Last()) != string(cp.Note) {
			t.Errorf("Last = %q, want %q", f.Last(), cp.Note)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := anchor.ReadFile(path)
	if err != nil || len(kept) != 3 {
		t.Fatalf("%d notes, %v, want 3", len(kept), err)
	}
	for i, k := range kept {
		if string(k.Note) != string(all[i].Note) || !strings.HasPrefix(k.Where, path) {
			t.Errorf("note %d at %s = %q, want %q", i, k.Where, k.Note, all[i].Note)
		}
	}
}

func last(all []audit.Checkpoint) string {
	if len(all) == 0 {
		return ""
	}
	return string(all[len(all)-1].Note)
}

// A crash may cut an append anywhere. Complete lines stay, and the following lines are complete.
func TestCheckpointFileAfterACutAppend(t *testing.T) {
	all := threeCheckpoints(t)
	first, second := string(all[0].Note)+"\n", string(all[1].Note)+"\n"
	path := filepath.Join(t.TempDir(), "JOBS.checkpoints")
	for cut := range len(second) {
		if err := os.WriteFile(path, []byte(first+second[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		want := []string{string(all[0].Note)}
		if cut == len(second)-1 { // only the empty line behind it is missing
			want = append(want, string(all[1].Note))
		}
		if got := notes(t, path); !slices.Equal(got, want) {
			t.Errorf("cut to %d: notes %q, want %q", cut, got, want)
		}
		f, err := anchor.OpenFile(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(f.Last()); got != want[len(want)-1] {
			t.Errorf("cut to %d: Last = %q, want %q", cut, got, want[len(want)-1])
		}
		if err := errors.Join(f.Publish(t.Context(), all[2]), f.Close()); err != nil {
			t.Fatal(err)
		}
		if got := notes(t, path); !slices.Equal(got, append(want, string(all[2].Note))) {
			t.Errorf("cut to %d: notes %q", cut, got)
		}
	}
}

func notes(t testing.TB, path string) []string {
	t.Helper()
	kept, err := anchor.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range kept {
		all = append(all, string(k.Note))
	}
	return all
}

// Damage in the middle costs one note, and is not passed over.
func TestCheckpointFileWithDamageInside(t *testing.T) {
	all := threeCheckpoints(t)
	path := filepath.Join(t.TempDir(), "JOBS.checkpoints")
	text := string(all[0].Note) + "\n" + "garbage\n\n" + string(all[1].Note) + "\n" + string(all[2].Note) + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var good []bool
	for _, note := range notes(t, path) {
		_, err := audit.OpenCheckpoint([]byte(note), audittest.Keys(t))
		good = append(good, err == nil)
	}
	if want := []bool{true, false, true}; !slices.Equal(good, want) {
		t.Errorf("notes that hold = %v, want %v", good, want)
	}
}

func TestCheckpointDirHoldsOneFileEach(t *testing.T) {
	dir := anchor.Dir{Path: t.TempDir()}
	all := threeCheckpoints(t)
	for _, cp := range append(all, all...) {
		if err := dir.Publish(t.Context(), cp); err != nil {
			t.Fatal(err)
		}
	}
	other := all[0]
	other.Origin = audit.Origin("receiver", "test", "ATTEMPTS")
	if err := dir.Publish(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	kept, err := dir.Read(audittest.Origin)
	if err != nil || len(kept) != 3 {
		t.Fatalf("%d checkpoints, %v, want 3", len(kept), err)
	}
	for i, k := range kept {
		if string(k.Note) != string(all[i].Note) {
			t.Errorf("checkpoint %d = %q, want %q", i, k.Note, all[i].Note)
		}
	}
	files, _ := os.ReadDir(dir.Path)
	if len(files) != 4 {
		t.Errorf("%d files, want 4", len(files))
	}
	for name, untaken := range map[string]int{"the largest": 0, "none but the smallest": 2} {
		var given []string
		err := dir.Largest(audittest.Origin, func(signed []byte) error {
			if given = append(given, string(signed)); len(given) <= untaken {
				return audit.ErrSignature
			}
			return nil
		})
		if (err == nil) != (untaken == 0) || len(given) != untaken+1 || given[untaken] != string(all[2-untaken].Note) {
			t.Errorf("%s is taken: %v after %q", name, err, given)
		}
	}
	gone := anchor.Dir{Path: filepath.Join(dir.Path, "gone")}
	if err := gone.Publish(t.Context(), all[0]); err == nil {
		t.Error("publishing into a folder that does not exist: no error")
	}
	if _, err := gone.Read(audittest.Origin); err == nil {
		t.Error("reading a folder that does not exist: no error")
	}
}

// The names of files have an end: an origin of the longest domain and name fits, and is found again
// beside those that begin like it.
func TestCheckpointDirHoldsLongOrigins(t *testing.T) {
	dir := anchor.Dir{Path: t.TempDir()}
	domain := strings.Repeat("a.", 126) + "a"
	var want []string
	for _, name := range []string{strings.Repeat("b", 32), strings.Repeat("b", 31) + "c", "b"} {
		for _, cp := range threeCheckpoints(t) {
			cp.Origin = audit.Origin(domain, name, "ATTEMPTS")
			cp.Note = []byte(strings.Replace(string(cp.Note), audittest.Origin+"\n", cp.Origin+"\n", 1))
			if err := dir.Publish(t.Context(), cp); err != nil {
				t.Fatal(err)
			}
			if cp.Tree.N == 300 {
				want = append(want, string(cp.Note))
			}
		}
		if kept, err := dir.Read(audit.Origin(domain, name, "ATTEMPTS")); err != nil || len(kept) != 3 {
			t.Errorf("Read(%s) = %d checkpoints, %v, want 3", name, len(kept), err)
		}
	}
	newest, err := dir.Newest()
	if err != nil || len(newest) != len(want) {
		t.Fatalf("Newest = %d checkpoints, %v, want %d", len(newest), err, len(want))
	}
	for _, k := range newest {
		if !slices.Contains(want, string(k.Note)) {
			t.Errorf("Newest has %q, want the largest of each log", k.Note)
		}
	}
}
