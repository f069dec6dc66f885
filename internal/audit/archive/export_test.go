package archive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
	"receiver/internal/audit/verification"
)

// exported seals 700 records at three sizes, one of them absent, and exports them.
func exported(t testing.TB, o archive.Options) (dir string, w *audittest.World) {
	t.Helper()
	w = audittest.NewWorld(t, 200)
	w.Stream.Remove(90)
	kept := w.KeptAt(t, 200, 500, 700)
	o.Kept = kept[:2]
	dir = filepath.Join(t.TempDir(), "export")
	if err := archive.Export(t.Context(), w.Log, dir, o); err != nil {
		t.Fatal(err)
	}
	return dir, w
}

func verifyFolder(t testing.TB, dir string) audit.Report {
	t.Helper()
	f, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Verify(t.Context(), audittest.Keys(t), verification.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExportVerifiesWithoutAServer(t *testing.T) {
	var progress int64
	dir, w := exported(t, archive.Options{Progress: func(n int64) { progress = n }})
	r := verifyFolder(t, dir)
	if !r.OK() || r.Records != 699 || r.Absent != 1 || r.Checkpoints != 3 || progress != 699 {
		t.Errorf("report = %+v, progress %d", r, progress)
	}

	// It is the same log: its proofs pass, and the records are the same.
	f, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if from, to := f.Range(); f.Origin() != audittest.Origin || from != 1 || to != 700 {
		t.Errorf("folder of %s, %d to %d, want %s, 1 to 700", f.Origin(), from, to, audittest.Origin)
	}
	l, err := f.Log(audittest.Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Prove(t.Context(), 3, 699)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Check(audittest.Keys(t), nil); err != nil {
		t.Errorf("Check: %v", err)
	}
	want, err := w.Log.Prove(t.Context(), 3, 699)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := bundle.Encode(got)
	b, _ := bundle.Encode(want)
	if !bytes.Equal(a, b) {
		t.Errorf("bundle from the folder\n%s\nwant\n%s", a, b)
	}
	if _, err := audit.NewSealer(l, audit.SealerOptions{Signer: audittest.Signer(t)}); err == nil {
		t.Error("a folder could be sealed")
	}
}

func TestRecordsRemovedAfterAnExportKeepTheirHashes(t *testing.T) {
	dir, w := exported(t, archive.Options{To: 400})
	for seq := uint64(1); seq <= 400; seq++ {
		w.Stream.Remove(seq)
	}
	w.Stream.Add(50)
	w.Seal(t)
	if r := w.Verify(t, verification.Options{From: 401}); !r.OK() || r.Outside != 399 {
		t.Errorf("what remains: %+v", r)
	}
	if r := verifyFolder(t, dir); !r.OK() || r.Records != 399 || r.Outside != 300 {
		t.Errorf("what was exported: %+v", r)
	}
	// The two fit together: the live log extends the exported checkpoint.
	kept, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	r := w.Verify(t, verification.Options{From: 401, Kept: []audit.Kept{{Where: "export", Note: kept}}})
	if !r.OK() || r.Checkpoints != 2 {
		t.Errorf("with the exported checkpoint: %+v", r)
	}
}

func TestExportOfAnEmptyLogAndAnEmptyRange(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	w.Seal(t)
	dir := filepath.Join(t.TempDir(), "x")
	if err := archive.Export(t.Context(), w.Log, dir, archive.Options{}); err != nil {
		t.Fatal(err)
	}
	if r := verifyFolder(t, dir); !r.OK() {
		t.Errorf("empty log: %+v", r)
	}
	dir, _ = exported(t, archive.Options{From: 701})
	if r := verifyFolder(t, dir); !r.OK() || r.Records != 0 || r.Outside != 699 {
		t.Errorf("empty range: %+v", r)
	}
}

// TestExportTampered edits the files of an export. Verify reports the kind of fault, once for each
// place.
func TestExportTampered(t *testing.T) {
	const records = "records/00000000000000000001"
	edit := func(name string, change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, filepath.FromSlash(name))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := func(text string, change func(b []byte)) func([]byte) []byte {
		return func(data []byte) []byte {
			i := bytes.Index(data, []byte(text))
			change(data[i:])
			return data
		}
	}
	leaf := len(mustLeaf(t, audittest.Record(1))) + 4
	rows := []struct {
		name   string
		tamper func(t *testing.T, dir string)
		want   []string
	}{
		{"a byte of a body", edit(records, at(`{"id":"3"`, func(b []byte) { b[7] = '4' })), []string{"changed 3"}},
		{"a byte of the format tag", edit(records, at("receiver-leaf", func(b []byte) { b[0] = 'x' })), []string{"unreadable 0", "missing 1"}},
		{"a length", edit(records, func(b []byte) []byte { b[0] = 0xff; return b }), []string{"unreadable 0", "missing 1", "missing 2", "missing 3"}},
		{"the end cut off", edit(records, func(b []byte) []byte { return b[:len(b)-1] }), []string{"unreadable 0", "missing 700"}},
		{"the last record cut off", edit(records, func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte("receiver-leaf"))-4] }), []string{"missing 700"}},
		{"the first record cut out", edit(records, func(b []byte) []byte { return b[leaf:] }), []string{"missing 1"}},
		{"two records swapped", edit(records, func(b []byte) []byte {
			return slices.Concat(b[leaf:2*leaf], b[:leaf], b[2*leaf:])
		}), []string{"reordered 1"}},
		{"a record twice", edit(records, func(b []byte) []byte { return append(slices.Clone(b[:leaf]), b...) }), []string{"extra 1"}},
		{"a record behind the end", edit(records, func(b []byte) []byte {
			l := mustLeaf(t, audittest.Record(701))
			return append(append(b, 0, 0, 0, byte(len(l))), l...)
		}), []string{"unsealed 701"}},
		{"a tile", edit("tile/0/001", func(b []byte) []byte { b[0] ^= 1; return b }), []string{"tile 0"}},
		{"the checkpoint by an older one", func(t *testing.T, dir string) {
			kept, err := anchor.ReadFile(filepath.Join(dir, "checkpoints"))
			if err != nil {
				t.Fatal(err)
			}
			edit("checkpoint", func([]byte) []byte { return kept[1].Note })(t, dir)
		}, []string{"tile 0", "unsealed 501", "unsealed 502"}},
		{"the checkpoint's size", edit("checkpoint", at("\n700\n", func(b []byte) { b[1] = '8' })), []string{"checkpoint 0", "tile 0", "unsealed 501"}},
		{"a kept checkpoint", edit("checkpoints", at("\n200\n", func(b []byte) { b[1] = '3' })), []string{"checkpoint 0"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir, _ := exported(t, archive.Options{})
			row.tamper(t, dir)
			r := verifyFolder(t, dir)
			got := audittest.Brief(r)
			if !slices.Equal(got[:min(len(got), len(row.want))], row.want) || r.OK() {
				t.Errorf("faults = %.1000s, want to begin with %v", fmt.Sprint(r.Faults), row.want)
			}
		})
	}
}

func mustLeaf(t testing.TB, r audit.Record) []byte {
	t.Helper()
	leaf, err := r.AppendLeaf(nil)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestExportAndOpenFolderRefuse(t *testing.T) {
	dir, w := exported(t, archive.Options{})
	if err := archive.Export(t.Context(), w.Log, dir, archive.Options{}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Export into a folder that is not empty: error %v", err)
	}
	if _, err := archive.Open(t.TempDir()); !errors.Is(err, archive.ErrFolder) {
		t.Errorf("Open of an empty folder: error %v, want ErrFolder", err)
	}
	info := filepath.Join(dir, "log.json")
	good, err := os.ReadFile(info)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"another format":  strings.Replace(string(good), "export/v1", "export/v2", 1),
		"an unknown key":  strings.Replace(string(good), `"from"`, `"more": 1, "from"`, 1),
		"something after": string(good) + "{}",
		"no JSON":         "hello",
	} {
		if err := os.WriteFile(info, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Open(dir); !errors.Is(err, archive.ErrFolder) {
			t.Errorf("Open with %s: error %v, want ErrFolder", name, err)
		}
	}
	if err := errors.Join(os.WriteFile(info, good, 0o600), os.Remove(filepath.Join(dir, "checkpoint"))); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Open(dir); !errors.Is(err, archive.ErrFolder) {
		t.Errorf("Open of an unfinished export: error %v, want ErrFolder", err)
	}
}

// Files of leaves end every 65,536 sequences, counted from the log's first.
func TestExportSplitsItsFiles(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	w.Stream.Newest = 65534
	w.Stream.Add(4)
	var err error
	if w.Log, err = audit.NewLog(audit.LogOptions{
		Origin: audittest.Origin, Stream: "JOBS", Source: w.Stream, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
	}); err != nil {
		t.Fatal(err)
	}
	w.Seal(t)
	dir := filepath.Join(t.TempDir(), "x")
	if err := archive.Export(t.Context(), w.Log, dir, archive.Options{From: 65535}); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "records", "*"))
	if err != nil || len(names) != 2 || !strings.HasSuffix(names[1], "00000000000000065537") {
		t.Errorf("files %v, %v, want two, the second starting at 65537", names, err)
	}
	if r := verifyFolder(t, dir); !r.OK() || r.Records != 4 {
		t.Errorf("report = %+v", r)
	}
	f, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{65536, 65537} {
		n := 0
		if err := f.Records(t.Context(), seq, seq, func(r audit.Record) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("Records(%d) = %d records, %v, want 1", seq, n, err)
		}
	}
}

// FuzzFolder: whatever a file of leaves holds, reading it does not panic, and unless it is
// reported as damaged it is byte for byte the file of the records that were read.
func FuzzFolder(f *testing.F) {
	w := audittest.NewWorld(f, 2)
	w.Seal(f)
	dir := filepath.Join(f.TempDir(), "x")
	if err := archive.Export(f.Context(), w.Log, dir, archive.Options{}); err != nil {
		f.Fatal(err)
	}
	folder, err := archive.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "records", "00000000000000000001")
	leaf := mustLeaf(f, audit.Record{Stream: "S", Seq: 1, Time: audittest.Start}) // short seeds are mutated faster
	f.Add(append([]byte{0, 0, 0, byte(len(leaf))}, leaf...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var again []byte
		err := folder.Records(t.Context(), 0, math.MaxUint64, func(r audit.Record) error {
			leaf := mustLeaf(t, r)
			again = binary.BigEndian.AppendUint32(again, uint32(len(leaf)))
			again = append(again, leaf...)
			return nil
		})
		if damage := new(audit.DamageError); errors.As(err, &damage) {
			return
		}
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("read %q as %q, error %v", data, again, err)
		}
	})
}

// The author of an archive can claim any number of leaves; see
// TestAClaimOfCountlessLeavesIsRefuted.
func TestAnArchiveOfCountlessLeavesIsRefuted(t *testing.T) {
	dir, _ := exported(t, archive.Options{})
	claim := bytes.Replace(audittest.HugeCheckpoint(t, 1<<61), []byte("— receiver"), []byte("— deceiver"), 1)
	for name, text := range map[string][]byte{
		"checkpoint":  claim,
		"checkpoints": nil,
		"log.json": fmt.Appendf(nil, `{"format": "receiver-export/v1", "origin": "%s", "stream": "JOBS", "first_sequence": 1, "from": 1, "to": %d}`,
			audittest.Origin, uint64(1<<62)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := verifyFolder(t, dir); r.OK() || !slices.Contains(audittest.Brief(r), "checkpoint 0") {
		t.Errorf("report = %.300s, want faults", fmt.Sprint(audittest.Brief(r)))
	}
}

func TestALogOfCountlessLeavesIsNotExported(t *testing.T) {
	for name, leaves := range map[string]int64{"2^61": 1 << 61, "2^62": 1 << 62, "all": math.MaxInt64} {
		w := audittest.NewWorld(t, 0)
		w.KeptAt(t, 300, 700)
		w.Checkpoints.Set(audittest.HugeCheckpoint(t, leaves))
		if err := archive.Export(t.Context(), w.Log, t.TempDir(), archive.Options{}); !errors.Is(err, audit.ErrRewound) {
			t.Errorf("%s: Export = %v, want ErrRewound", name, err)
		}
	}
}

func TestAnExportBeginsBehindWhatIsPushedOutMeanwhile(t *testing.T) {
	d, log := audittest.DrainingLog(t)
	dir := filepath.Join(t.TempDir(), "export")
	if err := archive.Export(t.Context(), log, dir, archive.Options{From: 1, Pushed: d.First}); err != nil {
		t.Fatal(err)
	}
	if r := verifyFolder(t, dir); !r.OK() || r.From != 301 || r.To != 700 || r.Records != 500 || r.Outside != 200 {
		t.Errorf("report = %+v, want 301 to 700 whole, and 100 records before", r)
	}
}

// BenchmarkVerifyFolder verifies an export of 1,000,000 records on disk.
func BenchmarkVerifyFolder(b *testing.B) {
	w := audittest.NewWorld(b, 1_000_000)
	w.Seal(b)
	dir := filepath.Join(b.TempDir(), "export")
	if err := archive.Export(b.Context(), w.Log, dir, archive.Options{}); err != nil {
		b.Fatal(err)
	}
	w.Stream, w.Store = nil, nil
	for b.Loop() {
		if r := verifyFolder(b, dir); !r.OK() {
			b.Fatal(r.Faults)
		}
	}
	b.ReportMetric(float64(1_000_000)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
