package anchor_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
)

// A receipt is kept for each place and log, the largest only, until the place is not configured
// any more.
func TestReceiptsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "receipts")
	if _, err := anchor.ReadReceipts(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before there is a file: error %v, want fs.ErrNotExist", err)
	}
	if err := anchor.CreateReceipts(path); err != nil {
		t.Fatal(err)
	}
	if rows, err := anchor.ReadReceipts(path); err != nil || rows == nil || len(rows) > 0 {
		t.Errorf("an empty file = %#v, %v, want no receipts, and that is not null in JSON", rows, err)
	}
	all := threeCheckpoints(t)
	here, there := anchor.DirID("/here"), anchor.AccountID("there")
	r := anchor.OpenReceipts(path, here, there)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, cp := range append(slices.Clone(all), all[0]) {
		for _, id := range []anchor.ID{here, there} {
			if err := r.Told(id, cp, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, id := range []anchor.ID{here, there} { // also after a restart
		for _, r := range []*anchor.Receipts{r, anchor.OpenReceipts(path, here, there)} {
			got, err := r.Of(id, all[2].Origin)
			if want := (anchor.Receipt{ID: id, Log: all[2].Origin, Size: 300, Root: all[2].Tree.Hash, Time: now}); err != nil || got != want {
				t.Errorf("Of(%v) = %+v, %v, want %+v", id, got, err, want)
			}
		}
	}
	if got, err := r.Of(here, "receiver/test/ATTEMPTS"); err != nil || got.Size != 0 {
		t.Errorf("Of another log = %+v, %v, want size 0", got, err)
	}
	alone := anchor.OpenReceipts(path, there)
	if got, err := alone.Of(here, all[2].Origin); err != nil || got.Size != 0 {
		t.Errorf("Of a place that is not configured = %+v, %v, want size 0", got, err)
	}
	larger := all[2]
	larger.Tree.N++
	if err := alone.Told(there, larger, now); err != nil {
		t.Fatal(err)
	}
	rows, err := anchor.ReadReceipts(path)
	if err != nil || len(rows) != 1 || rows[0].ID != there || rows[0].Size != 301 {
		t.Errorf("the file has %+v, %v, want the receipt of the place that is left", rows, err)
	}
	if text, err := json.Marshal(rows[0]); err != nil || !strings.HasPrefix(string(text), `{"kind":"account","where":"there","log":"receiver/test/JOBS","size":301,"root":"`) {
		t.Errorf("a receipt is %s, %v", text, err)
	}
}

// Without a file that can be read nothing is known, and nothing is written over it.
func TestReceiptsThatAreGone(t *testing.T) {
	for name, text := range map[string]string{
		"none": "", "rubbish": "rubbish\n", "another object": `{"a":1}` + "\n", "a negative size": `{"log":"x","size":-1}` + "\n", "very much": strings.Repeat("\n", 5<<20),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "receipts")
			if text != "" {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			id, cp := anchor.DirID("/here"), threeCheckpoints(t)[0]
			r := anchor.OpenReceipts(path, id)
			if _, err := r.Of(id, cp.Origin); !errors.Is(err, anchor.ErrForgotten) {
				t.Errorf("Of: error %v, want ErrForgotten", err)
			}
			if err := r.Told(id, cp, time.Now()); !errors.Is(err, anchor.ErrForgotten) {
				t.Errorf("Told: error %v, want ErrForgotten", err)
			}
			if data, _ := os.ReadFile(path); string(data) != text {
				t.Errorf("the file has %d bytes, want the %d of before", len(data), len(text))
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := r.Of(id, cp.Origin); err != nil || got.Size != 0 {
				t.Errorf("with an empty file: Of = %+v, %v, want size 0", got, err)
			}
		})
	}
}

// A place is held to what it had received before it was read, not to what it receives meanwhile.
func TestReceiptsAreReadBeforeThePlaces(t *testing.T) {
	dir := anchor.Dir{Path: t.TempDir()}
	path, all := filepath.Join(t.TempDir(), "receipts"), threeCheckpoints(t)
	if err := anchor.CreateReceipts(path); err != nil {
		t.Fatal(err)
	}
	r, id := anchor.OpenReceipts(path, anchor.DirID(dir.Path)), anchor.DirID(dir.Path)
	tell := func(cp audit.Checkpoint) {
		if err := errors.Join(dir.Publish(t.Context(), cp), r.Told(id, cp, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	tell(all[0])
	c := &anchor.Collection{Keys: audittest.Keys(t)}
	c.Promise("anchors", path, nil)
	c.AddDir("anchors", dir)
	tell(all[1])
	if c.Compare("anchors"); len(c.Faults) > 0 {
		t.Errorf("faults %v, want none", c.Faults)
	}
	c = &anchor.Collection{Keys: audittest.Keys(t)}
	c.Promise("anchors", path, &[]anchor.Receipt{{ID: id, Log: all[2].Origin, Size: 300}})
	c.AddDir("anchors", dir)
	c.Compare("anchors")
	for i, want := range []string{"the receipts say less of folder ", "up to size 2 only; it received 300"} {
		if len(c.Faults) != 2 || c.Faults[i].Kind != audit.Forgotten || !strings.Contains(c.Faults[i].Detail, want) {
			t.Errorf("faults %v, want %q", c.Faults, want)
		}
	}
	if got, want := c.Origins(), []string{audittest.Origin}; !slices.Equal(got, want) {
		t.Errorf("Origins = %v, want %v", got, want)
	}
}
