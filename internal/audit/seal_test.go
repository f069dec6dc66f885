package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// wantTree computes the tree over the stream's first n sequences by package tlog's own
// store, with none of our tiles.
func wantTree(t testing.TB, s *memStream, first uint64, n int64) tlog.Tree {
	t.Helper()
	return wantTrees(t, s, first, n)(n)
}

// wantTrees does that for every size up to n.
func wantTrees(t testing.TB, s *memStream, first uint64, n int64) func(size int64) tlog.Tree {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i := range n {
		seq := first + uint64(i)
		leaf := audit.AbsentLeaf("JOBS", seq)
		if r, ok := s.records[seq]; ok {
			leaf, _ = r.AppendLeaf(nil)
		}
		stored, err := tlog.StoredHashes(i, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	return func(size int64) tlog.Tree {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			t.Fatal(err)
		}
		return tlog.Tree{N: size, Hash: root}
	}
}

func TestSealMakesTheTreeOfTheStream(t *testing.T) {
	for _, n := range []int{0, 1, 2, 255, 256, 257, 511, 512, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t, n)
			cp := w.seal(t)
			if want := wantTree(t, w.stream, 1, int64(n)); cp.Tree != want {
				t.Errorf("tree = %v, want %v", cp.Tree, want)
			}
			if cp.Origin != testOrigin {
				t.Errorf("origin = %q", cp.Origin)
			}
			stored, err := w.log.Checkpoint(t.Context())
			if err != nil || stored.Tree != cp.Tree {
				t.Errorf("Checkpoint = %v, %v, want what Seal returned", stored.Tree, err)
			}
		})
	}
}

// C2SP tlog-tiles, "Partial Tiles": the tiles of a tree of size 70,000.
func TestSealStoresTheTilesOfTheSpec(t *testing.T) {
	w := newWorld(t, 70000)
	if cp, want := w.seal(t), wantTree(t, w.stream, 1, 70000); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
	var want []string
	for i := range 273 {
		want = append(want, fmt.Sprintf("tile/0/%03d", i))
	}
	want = append(want, "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1")
	if got := w.store.names(); !slices.Equal(got, want) {
		t.Errorf("stored %d names, want %d\ngot  %v\nwant %v", len(got), len(want), got, want)
	}
	t.Run("Tile", w.testTile)
}

func (w *world) testTile(t *testing.T) {
	rows := []struct {
		name string
		size int // bytes; 0 means fs.ErrNotExist
	}{
		{"tile/0/000", 8192},
		{"tile/0/273.p/112", 112 * 32},
		{"tile/0/273.p/5", 5 * 32}, // of an older checkpoint
		{"tile/0/000.p/9", 9 * 32},
		{"tile/1/001.p/17", 17 * 32},
		{"tile/2/000.p/1", 32},
		{"tile/0/273.p/113", 0},
		{"tile/0/273", 0},
		{"tile/0/274.p/1", 0},
		{"tile/3/000.p/1", 0},
		{"tile/0/0", 0},
		{"tile/0/x000/000", 0},
		{"tile/00/000", 0},
		{"tile/-1/000", 0},
		{"tile/data/000", 0},
		{"tile/8/0/000", 0},
		{"tile/64/000", 0},
		{"tile/0/x999/x999/x999/x999/x999/x999/999", 0},
		{"tile/0/000.p/0", 0},
		{"tile/0/000.p/256", 0},
		{"tile/0/../0/000", 0},
		{"stage/70000", 0},
		{"", 0},
	}
	for _, row := range rows {
		data, err := w.log.Tile(t.Context(), row.name)
		if len(data) != row.size || (row.size == 0) != isNotExist(err) {
			t.Errorf("Tile(%q) = %d bytes, %v, want %d bytes", row.name, len(data), err, row.size)
		}
	}
}

func TestSealGrowsStepByStep(t *testing.T) {
	w := newWorld(t, 0)
	s := w.sealer(t)
	for range 40 {
		w.stream.add(17)
		if _, err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := wantTree(t, w.stream, 1, 680)
	if got, _ := w.log.Checkpoint(t.Context()); got.Tree != want {
		t.Errorf("tree = %v, want %v", got.Tree, want)
	}
	// Narrower partial tiles and stages are cleared away as the log grows.
	names := []string{"tile/0/000", "tile/0/001", "tile/0/002.p/168", "tile/1/000.p/2"}
	if got := w.store.names(); !slices.Equal(got, names) {
		t.Errorf("stored %v, want %v", got, names)
	}
}

func TestSealInBatches(t *testing.T) {
	w := newWorld(t, 1000)
	s := newSealer(t, w.log, audit.SealerOptions{Batch: 300})
	cp, err := s.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := wantTree(t, w.stream, 1, 1000); cp.Tree != want || len(w.cps.history) != 4 {
		t.Errorf("tree = %v in %d checkpoints, want %v in 4", cp.Tree, len(w.cps.history), want)
	}
}

func TestSealWithNothingNewKeepsTheCheckpoint(t *testing.T) {
	w := newWorld(t, 3)
	first := w.seal(t)
	second := w.seal(t)
	if string(first.Note) != string(second.Note) || len(w.cps.history) != 1 {
		t.Errorf("sealed %d times, want once", len(w.cps.history))
	}
}

func TestSealAbsentRecords(t *testing.T) {
	w := newWorld(t, 20)
	w.stream.remove(1, 2, 7, 20)
	cp := w.seal(t)
	if want := wantTree(t, w.stream, 1, 20); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
	w.stream.remove(5) // after sealing: its leaf stays
	w.stream.add(1)
	cp = w.seal(t)
	w.stream.change(5, func(r *audit.Record) { *r = testRecord(5) })
	if want := wantTree(t, w.stream, 1, 21); cp.Tree != want {
		t.Errorf("tree after a removal = %v, want %v", cp.Tree, want)
	}
}

func TestSealFromALaterFirstSequence(t *testing.T) {
	w := newWorld(t, 300)
	o := audit.LogOptions{
		Origin: testOrigin, Stream: "JOBS", First: 41, Source: w.stream, Storage: w.store, Checkpoints: w.cps, Keys: testKeys(t),
	}
	var err error
	if w.log, err = audit.NewLog(o); err != nil {
		t.Fatal(err)
	}
	if cp, want := w.seal(t), wantTree(t, w.stream, 41, 260); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
}

// Two sealers that race, over and over, make one history, and it is the stream's.
func TestSealersRacing(t *testing.T) {
	w := newWorld(t, 0)
	var wg sync.WaitGroup
	for i := range 4 {
		s := newSealer(t, w.log, audit.SealerOptions{Batch: 7 + 30*i})
		wg.Go(func() {
			for range 50 {
				w.stream.add(3)
				if _, err := s.Seal(t.Context()); err != nil && !errors.Is(err, audit.ErrConflict) {
					t.Errorf("Seal: %v", err)
				}
			}
		})
	}
	wg.Wait()
	want := wantTrees(t, w.stream, 1, 600)
	if cp := w.seal(t); cp.Tree != want(600) {
		t.Errorf("tree = %v, want %v", cp.Tree, want(600))
	}
	w.checkHistory(t, want)
	for _, name := range w.store.names() {
		if strings.HasPrefix(name, "stage/") {
			t.Errorf("%s was left behind", name)
		}
	}
}

// checkHistory proves that every checkpoint ever stored is the tree of its size.
func (w *world) checkHistory(t testing.TB, want func(size int64) tlog.Tree) {
	t.Helper()
	size := int64(-1)
	for _, signed := range w.cps.history {
		cp, err := audit.OpenCheckpoint(signed, testKeys(t))
		if err != nil {
			t.Fatal(err)
		}
		if cp.Tree.N < size {
			t.Errorf("checkpoint of %d after one of %d", cp.Tree.N, size)
		}
		size = cp.Tree.N
		if cp.Tree != want(size) {
			t.Errorf("checkpoint of %d has root %s, want %s", size, cp.Tree.Hash, want(size).Hash)
		}
	}
}

// A new key takes over where the old one ended, as long as both are configured.
func TestSealWithANewKey(t *testing.T) {
	w := newWorld(t, 300)
	w.seal(t)
	w.stream.add(10)
	key, err := audit.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ParseKeys([]string{testKey(t).VerifierKey(testOrigin), key.VerifierKey(testOrigin)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := key.Signer(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	w.log = w.openLogWith(t, keys)
	s, err := audit.NewSealer(w.log, audit.SealerOptions{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if cp, err := s.Seal(t.Context()); err != nil || cp.Tree != wantTree(t, w.stream, 1, 310) {
		t.Errorf("Seal = %v, %v", cp.Tree, err)
	}
	kept := []audit.Kept{{Where: "old", Note: w.cps.history[0]}}
	if r := w.verify(t, audit.VerifyOptions{Kept: kept}); !r.OK() || r.Checkpoints != 2 {
		t.Errorf("report = %+v", r)
	}
}

func TestSealRefusesAForkForGood(t *testing.T) {
	// other is a log of another history with the same key.
	other := newWorld(t, 12)
	other.stream.change(3, func(r *audit.Record) { r.Data = []byte("forged") })
	forged := other.seal(t)
	small := newWorld(t, 5)
	older := small.seal(t)

	rows := []struct {
		name  string
		put   func(w *world) // what happens to the store after 10 records were sealed
		found int64
	}{
		{"rolled back", func(w *world) { w.cps.set(older.Note) }, 5},
		{"emptied", func(w *world) { w.cps.set(nil) }, 0},
		{"forked, longer", func(w *world) { w.cps.set(forged.Note); w.store.files = other.store.files }, 12},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 10)
			s := w.sealer(t)
			known, err := s.Seal(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.stream.add(5)
			row.put(w)

			_, err = s.Seal(t.Context())
			fork := new(audit.ForkError)
			if !errors.As(err, &fork) {
				t.Fatalf("Seal: error %v, want *ForkError", err)
			}
			if string(fork.Known.Note) != string(known.Note) || fork.Found.Tree.N != row.found {
				t.Errorf("proof holds %d and %d leaves, want 10 and %d", fork.Known.Tree.N, fork.Found.Tree.N, row.found)
			}
			w.cps.set(known.Note)
			if _, again := s.Seal(t.Context()); !errors.Is(again, err) {
				t.Errorf("after the store was put right: error %v, want the same refusal", again)
			}

			// A process that starts afresh knows it from a checkpoint kept elsewhere.
			row.put(w)
			if _, err := w.sealer(t, known.Note).Seal(t.Context()); !errors.As(err, &fork) {
				t.Errorf("fresh sealer with the kept checkpoint: error %v, want *ForkError", err)
			}
			w.cps.mu.Lock()
			defer w.cps.mu.Unlock()
			if len(w.cps.history) != 1 {
				t.Errorf("%d checkpoints were stored, want 1", len(w.cps.history))
			}
		})
	}
}

func TestSealRefusesARewoundStream(t *testing.T) {
	rows := []struct {
		name   string
		change func(s *memStream)
	}{
		{"ends earlier", func(s *memStream) { s.last = 6; s.remove(7, 8, 9, 10) }},
		{"grown again with other messages", func(s *memStream) {
			s.last = 6
			s.remove(7, 8, 9, 10)
			s.add(20)
			s.change(10, func(r *audit.Record) { r.Data = []byte("another") })
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 10)
			s := w.sealer(t)
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			row.change(w.stream)
			fresh := w.sealer(t)
			_, err := fresh.Seal(t.Context())
			if !errors.Is(err, audit.ErrRewound) {
				t.Fatalf("fresh sealer: error %v, want ErrRewound", err)
			}
			w.stream.last = 10
			if _, again := fresh.Seal(t.Context()); !errors.Is(again, err) {
				t.Errorf("second call: error %v, want the same refusal", again)
			}
			if row.name == "ends earlier" {
				w.stream.last = 6
				if _, err := s.Seal(t.Context()); !errors.Is(err, audit.ErrRewound) {
					t.Errorf("running sealer: error %v, want ErrRewound", err)
				}
			}
		})
	}
}

func TestSealRefusesDamagedTilesAndForeignCheckpoints(t *testing.T) {
	stranger, _ := audit.GenerateKey("test")
	impostor, _ := stranger.Signer(testOrigin)
	rows := []struct {
		name   string
		damage func(w *world)
		want   error
	}{
		{"edge tile changed", func(w *world) { w.store.files["tile/0/001.p/44"][5] ^= 1 }, audit.ErrTile},
		{"edge tile missing", func(w *world) { delete(w.store.files, "tile/0/001.p/44") }, audit.ErrTile},
		{"edge tile cut", func(w *world) { w.store.files["tile/0/001.p/44"] = nil }, audit.ErrTile},
		{"signed with another key", func(w *world) {
			w.cps.set(signedNote(t, testOrigin+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", impostor))
		}, audit.ErrSignature},
		{"no checkpoint at all", func(w *world) { w.cps.set([]byte("hello\n")) }, audit.ErrCheckpoint},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 300)
			w.seal(t)
			row.damage(w)
			w.stream.add(1)
			if _, err := w.sealer(t).Seal(t.Context()); !errors.Is(err, row.want) {
				t.Errorf("Seal: error %v, want %v", err, row.want)
			}
			if len(w.cps.history) != 1 {
				t.Errorf("%d checkpoints were signed and stored, want 1", len(w.cps.history))
			}
		})
	}
}

// flaky leaves out a record on the first reading only, as a lagging replica does.
type flaky struct {
	*memStream
	skip uint64
}

func (f *flaky) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return f.memStream.Records(ctx, from, to, func(r audit.Record) error {
		if r.Seq == f.skip {
			f.skip = 0
			return nil
		}
		return yield(r)
	})
}

// disordered yields what a Source must not.
type disordered struct {
	*memStream
	records []audit.Record
}

func (d *disordered) Records(_ context.Context, _, _ uint64, yield func(audit.Record) error) error {
	for _, r := range d.records {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func TestSealRefusesASourceThatBreaksItsPromises(t *testing.T) {
	stranger := testRecord(1)
	stranger.Stream = "ATTEMPTS"
	stream := newWorld(t, 3).stream
	rows := map[string]audit.Source{
		"a record missed once": &flaky{memStream: stream, skip: 2},
		"out of order":         &disordered{stream, []audit.Record{testRecord(2), testRecord(1)}},
		"one twice":            &disordered{stream, []audit.Record{testRecord(1), testRecord(1)}},
		"beyond the end":       &disordered{stream, []audit.Record{testRecord(4)}},
		"of another stream":    &disordered{stream, []audit.Record{stranger}},
	}
	for name, source := range rows {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 0)
			o := audit.LogOptions{
				Origin: testOrigin, Stream: "JOBS", Source: source, Storage: w.store, Checkpoints: w.cps, Keys: testKeys(t),
			}
			log, err := audit.NewLog(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := newSealer(t, log, audit.SealerOptions{}).Seal(t.Context()); !errors.Is(err, audit.ErrSource) {
				t.Errorf("Seal: error %v, want ErrSource", err)
			}
			if len(w.cps.history) != 0 {
				t.Error("a checkpoint was stored")
			}
		})
	}
}

func TestNewLogAndSealerRefuse(t *testing.T) {
	w := newWorld(t, 0)
	good := audit.LogOptions{
		Origin: testOrigin, Stream: "JOBS", Source: w.stream, Storage: w.store, Checkpoints: w.cps, Keys: testKeys(t),
	}
	logs := map[string]func(*audit.LogOptions){
		"origin of another stream": func(o *audit.LogOptions) { o.Stream = "ATTEMPTS" },
		"no stream":                func(o *audit.LogOptions) { o.Stream = "" },
		"no source":                func(o *audit.LogOptions) { o.Source = nil },
		"no storage":               func(o *audit.LogOptions) { o.Storage = nil },
		"no checkpoint store":      func(o *audit.LogOptions) { o.Checkpoints = nil },
		"no key":                   func(o *audit.LogOptions) { o.Keys = audit.Keys{} },
		"key of another log":       func(o *audit.LogOptions) { o.Origin = audit.Origin("other", "JOBS") },
	}
	for name, edit := range logs {
		o := good
		edit(&o)
		if _, err := audit.NewLog(o); err == nil {
			t.Errorf("NewLog with %s: no error", name)
		}
	}

	other, _ := testKey(t).Signer(audit.Origin("other", "JOBS"))
	stranger, _ := audit.GenerateKey("test")
	impostor, _ := stranger.Signer(testOrigin)
	sealers := map[string]audit.SealerOptions{
		"no signer":                    {},
		"signer of another log":        {Signer: other},
		"signer the log has no key of": {Signer: impostor},
		"known checkpoint unsigned":    {Signer: testSigner(t), Known: [][]byte{[]byte("x\n1\ny\n\n")}},
	}
	for name, o := range sealers {
		if _, err := audit.NewSealer(w.log, o); err == nil {
			t.Errorf("NewSealer with %s: no error", name)
		}
	}
}

func TestSealSomeSealsNoMore(t *testing.T) {
	w := newWorld(t, 1000)
	s := w.sealer(t)
	for _, step := range []struct{ most, want int64 }{{0, 0}, {1, 1}, {300, 301}, {0, 301}, {600, 901}, {600, 1000}, {5, 1000}} {
		cp, err := s.SealSome(t.Context(), step.most)
		if want := wantTree(t, w.stream, 1, step.want); err != nil || cp.Tree != want || cp.Note == nil {
			t.Errorf("SealSome(%d) = %v, %v, want the signed tree of %d", step.most, cp.Tree, err, step.want)
		}
	}
}
