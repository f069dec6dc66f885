package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/logkey"
	"receiver/internal/audit/verification"
)

func TestSealMakesTheTreeOfTheStream(t *testing.T) {
	for _, n := range []int{0, 1, 2, 255, 256, 257, 511, 512, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := audittest.NewWorld(t, n)
			cp := w.Seal(t)
			if want := audittest.WantTree(t, w.Stream, 1, int64(n)); cp.Tree != want {
				t.Errorf("tree = %v, want %v", cp.Tree, want)
			}
			if cp.Origin != audittest.Origin {
				t.Errorf("origin = %q", cp.Origin)
			}
			stored, err := w.Log.Checkpoint(t.Context())
			if err != nil || stored.Tree != cp.Tree {
				t.Errorf("Checkpoint = %v, %v, want what Seal returned", stored.Tree, err)
			}
		})
	}
}

// C2SP tlog-tiles, "Partial Tiles": the tiles of a tree of size 70,000.
func TestSealStoresTheTilesOfTheSpec(t *testing.T) {
	w := audittest.NewWorld(t, 70000)
	if cp, want := w.Seal(t), audittest.WantTree(t, w.Stream, 1, 70000); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
	var want []string
	for i := range 273 {
		want = append(want, fmt.Sprintf("tile/0/%03d", i))
	}
	want = append(want, "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1")
	if got := w.Store.Names(); !slices.Equal(got, want) {
		t.Errorf("stored %d names, want %d\ngot  %v\nwant %v", len(got), len(want), got, want)
	}
	t.Run("Tile", func(t *testing.T) { testTile(t, w) })
}

func testTile(t *testing.T, w *audittest.World) {
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
		data, err := w.Log.Tile(t.Context(), row.name)
		if len(data) != row.size || (row.size == 0) != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Tile(%q) = %d bytes, %v, want %d bytes", row.name, len(data), err, row.size)
		}
	}
}

func TestSealGrowsStepByStep(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	s := w.Sealer(t)
	for range 40 {
		w.Stream.Add(17)
		if _, err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := audittest.WantTree(t, w.Stream, 1, 680)
	if got, _ := w.Log.Checkpoint(t.Context()); got.Tree != want {
		t.Errorf("tree = %v, want %v", got.Tree, want)
	}
	// Narrower partial tiles and stages are cleared away as the log grows.
	names := []string{"tile/0/000", "tile/0/001", "tile/0/002.p/168", "tile/1/000.p/2"}
	if got := w.Store.Names(); !slices.Equal(got, names) {
		t.Errorf("stored %v, want %v", got, names)
	}
}

func TestSealInBatches(t *testing.T) {
	w := audittest.NewWorld(t, 1000)
	s := audittest.NewSealer(t, w.Log, audit.SealerOptions{})
	s.SetBatch(300)
	cp, err := s.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := audittest.WantTree(t, w.Stream, 1, 1000); cp.Tree != want || len(w.Checkpoints.History) != 4 {
		t.Errorf("tree = %v in %d checkpoints, want %v in 4", cp.Tree, len(w.Checkpoints.History), want)
	}
}

func TestSealWithNothingNewKeepsTheCheckpoint(t *testing.T) {
	w := audittest.NewWorld(t, 3)
	first := w.Seal(t)
	second := w.Seal(t)
	if string(first.Note) != string(second.Note) || len(w.Checkpoints.History) != 1 {
		t.Errorf("sealed %d times, want once", len(w.Checkpoints.History))
	}
}

func TestSealAbsentRecords(t *testing.T) {
	w := audittest.NewWorld(t, 20)
	w.Stream.Remove(1, 2, 7, 20)
	cp := w.Seal(t)
	if want := audittest.WantTree(t, w.Stream, 1, 20); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
	w.Stream.Remove(5) // after sealing: its leaf stays
	w.Stream.Add(1)
	cp = w.Seal(t)
	w.Stream.Change(5, func(r *audit.Record) { *r = audittest.Record(5) })
	if want := audittest.WantTree(t, w.Stream, 1, 21); cp.Tree != want {
		t.Errorf("tree after a removal = %v, want %v", cp.Tree, want)
	}
}

func TestSealFromALaterFirstSequence(t *testing.T) {
	w := audittest.NewWorld(t, 300)
	o := audit.LogOptions{
		Origin: audittest.Origin, Stream: "JOBS", First: 41, Source: w.Stream, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
	}
	var err error
	if w.Log, err = audit.NewLog(o); err != nil {
		t.Fatal(err)
	}
	if cp, want := w.Seal(t), audittest.WantTree(t, w.Stream, 41, 260); cp.Tree != want {
		t.Errorf("tree = %v, want %v", cp.Tree, want)
	}
}

// Two sealers that race, over and over, make one history, and it is the stream's.
func TestSealersRacing(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	var wg sync.WaitGroup
	for i := range 4 {
		s := audittest.NewSealer(t, w.Log, audit.SealerOptions{})
		s.SetBatch(7 + 30*int64(i))
		wg.Go(func() {
			for range 50 {
				w.Stream.Add(3)
				if _, err := s.Seal(t.Context()); err != nil && !errors.Is(err, audit.ErrConflict) {
					t.Errorf("Seal: %v", err)
				}
			}
		})
	}
	wg.Wait()
	want := audittest.WantTrees(t, w.Stream, 1, 600)
	if cp := w.Seal(t); cp.Tree != want(600) {
		t.Errorf("tree = %v, want %v", cp.Tree, want(600))
	}
	checkHistory(t, w, want)
	for _, name := range w.Store.Names() {
		if strings.HasPrefix(name, "stage/") {
			t.Errorf("%s was left behind", name)
		}
	}
}

// checkHistory proves that every checkpoint ever stored is the tree of its size.
func checkHistory(t testing.TB, w *audittest.World, want func(size int64) tlog.Tree) {
	t.Helper()
	size := int64(-1)
	for _, signed := range w.Checkpoints.History {
		cp, err := audit.OpenCheckpoint(signed, audittest.Keys(t))
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
	w := audittest.NewWorld(t, 300)
	w.Seal(t)
	w.Stream.Add(10)
	key, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := audit.ParseKeys([]string{audittest.Key(t).VerifierKey(audittest.Origin), key.VerifierKey(audittest.Origin)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := key.Signer(audittest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	w.Log = w.OpenLogWith(t, keys)
	s, err := audit.NewSealer(w.Log, audit.SealerOptions{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if cp, err := s.Seal(t.Context()); err != nil || cp.Tree != audittest.WantTree(t, w.Stream, 1, 310) {
		t.Errorf("Seal = %v, %v", cp.Tree, err)
	}
	kept := []audit.Kept{{Where: "old", Note: w.Checkpoints.History[0]}}
	if r := w.Verify(t, verification.Options{Kept: kept}); !r.OK() || r.Checkpoints != 2 {
		t.Errorf("report = %+v", r)
	}
}

func TestSealRefusesAForkForGood(t *testing.T) {
	// other is a log of another history with the same key.
	other := audittest.NewWorld(t, 12)
	other.Stream.Change(3, func(r *audit.Record) { r.Data = []byte("forged") })
	forged := other.Seal(t)
	small := audittest.NewWorld(t, 5)
	older := small.Seal(t)

	rows := []struct {
		name  string
		put   func(w *audittest.World) // what happens to the store after 10 records were sealed
		found int64
	}{
		{"rolled back", func(w *audittest.World) { w.Checkpoints.Set(older.Note) }, 5},
		{"emptied", func(w *audittest.World) { w.Checkpoints.Set(nil) }, 0},
		{"forked, longer", func(w *audittest.World) { w.Checkpoints.Set(forged.Note); w.Store.Files = other.Store.Files }, 12},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 10)
			s := w.Sealer(t)
			known, err := s.Seal(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.Stream.Add(5)
			row.put(w)

			_, err = s.Seal(t.Context())
			fork := new(audit.ForkError)
			if !errors.As(err, &fork) {
				t.Fatalf("Seal: error %v, want *ForkError", err)
			}
			if string(fork.Known.Note) != string(known.Note) || fork.Found.Tree.N != row.found {
				t.Errorf("proof holds %d and %d leaves, want 10 and %d", fork.Known.Tree.N, fork.Found.Tree.N, row.found)
			}
			w.Checkpoints.Set(known.Note)
			if _, again := s.Seal(t.Context()); !errors.Is(again, err) {
				t.Errorf("after the store was put right: error %v, want the same refusal", again)
			}

			// A process that starts afresh knows it from a checkpoint kept elsewhere.
			row.put(w)
			if _, err := w.Sealer(t, known.Note).Seal(t.Context()); !errors.As(err, &fork) {
				t.Errorf("fresh sealer with the kept checkpoint: error %v, want *ForkError", err)
			}
			if len(w.Checkpoints.History) != 1 {
				t.Errorf("%d checkpoints were stored, want 1", len(w.Checkpoints.History))
			}
		})
	}
}

func TestSealRefusesARewoundStream(t *testing.T) {
	rows := []struct {
		name   string
		change func(s *audittest.Stream)
	}{
		{"ends earlier", func(s *audittest.Stream) { s.Newest = 6; s.Remove(7, 8, 9, 10) }},
		{"grown again with other messages", func(s *audittest.Stream) {
			s.Newest = 6
			s.Remove(7, 8, 9, 10)
			s.Add(20)
			s.Change(10, func(r *audit.Record) { r.Data = []byte("another") })
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 10)
			s := w.Sealer(t)
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			row.change(w.Stream)
			fresh := w.Sealer(t)
			_, err := fresh.Seal(t.Context())
			if !errors.Is(err, audit.ErrRewound) {
				t.Fatalf("fresh sealer: error %v, want ErrRewound", err)
			}
			w.Stream.Newest = 10
			if _, again := fresh.Seal(t.Context()); !errors.Is(again, err) {
				t.Errorf("second call: error %v, want the same refusal", again)
			}
			if row.name == "ends earlier" {
				w.Stream.Newest = 6
				if _, err := s.Seal(t.Context()); !errors.Is(err, audit.ErrRewound) {
					t.Errorf("running sealer: error %v, want ErrRewound", err)
				}
			}
		})
	}
}

func TestSealRefusesForeignCheckpoints(t *testing.T) {
	stranger, _ := logkey.Generate("test")
	impostor, _ := stranger.Signer(audittest.Origin)
	rows := []struct {
		name   string
		damage func(w *audittest.World)
		want   error
	}{
		{"signed with another key", func(w *audittest.World) {
			w.Checkpoints.Set(audittest.SignedNote(t, audittest.Origin+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", impostor))
		}, audit.ErrSignature},
		{"no checkpoint at all", func(w *audittest.World) { w.Checkpoints.Set([]byte("hello\n")) }, audit.ErrCheckpoint},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 300)
			w.Seal(t)
			row.damage(w)
			w.Stream.Add(1)
			if _, err := w.Sealer(t).Seal(t.Context()); !errors.Is(err, row.want) {
				t.Errorf("Seal: error %v, want %v", err, row.want)
			}
			if len(w.Checkpoints.History) != 1 {
				t.Errorf("%d checkpoints were signed and stored, want 1", len(w.Checkpoints.History))
			}
		})
	}
}

// flaky leaves out a record on the first reading only, as a lagging replica does.
type flaky struct {
	*audittest.Stream
	skip uint64
}

func (f *flaky) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return f.Stream.Records(ctx, from, to, func(r audit.Record) error {
		if r.Seq == f.skip {
			f.skip = 0
			return nil
		}
		return yield(r)
	})
}

func TestSealRefusesASourceThatBreaksItsPromises(t *testing.T) {
	stranger := audittest.Record(1)
	stranger.Stream = "ATTEMPTS"
	stream := audittest.NewWorld(t, 3).Stream
	rows := map[string]audit.Source{
		"a record missed once": &flaky{Stream: stream, skip: 2},
		"out of order":         &audittest.Disordered{Stream: stream, Said: []audit.Record{audittest.Record(2), audittest.Record(1)}},
		"one twice":            &audittest.Disordered{Stream: stream, Said: []audit.Record{audittest.Record(1), audittest.Record(1)}},
		"beyond the end":       &audittest.Disordered{Stream: stream, Said: []audit.Record{audittest.Record(4)}},
		"of another stream":    &audittest.Disordered{Stream: stream, Said: []audit.Record{stranger}},
	}
	for name, source := range rows {
		t.Run(name, func(t *testing.T) {
			w := audittest.NewWorld(t, 0)
			o := audit.LogOptions{
				Origin: audittest.Origin, Stream: "JOBS", Source: source, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
			}
			log, err := audit.NewLog(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := audittest.NewSealer(t, log, audit.SealerOptions{}).Seal(t.Context()); !errors.Is(err, audit.ErrSource) {
				t.Errorf("Seal: error %v, want ErrSource", err)
			}
			if len(w.Checkpoints.History) != 0 {
				t.Error("a checkpoint was stored")
			}
		})
	}
}

func TestNewLogAndSealerRefuse(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	good := audit.LogOptions{
		Origin: audittest.Origin, Stream: "JOBS", Source: w.Stream, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
	}
	logs := map[string]func(*audit.LogOptions){
		"origin of another stream": func(o *audit.LogOptions) { o.Stream = "ATTEMPTS" },
		"no stream":                func(o *audit.LogOptions) { o.Stream = "" },
		"no source":                func(o *audit.LogOptions) { o.Source = nil },
		"no storage":               func(o *audit.LogOptions) { o.Storage = nil },
		"no checkpoint store":      func(o *audit.LogOptions) { o.Checkpoints = nil },
		"no key":                   func(o *audit.LogOptions) { o.Keys = audit.Keys{} },
		"key of another log":       func(o *audit.LogOptions) { o.Origin = audit.Origin("receiver", "other", "JOBS") },
	}
	for name, edit := range logs {
		o := good
		edit(&o)
		if _, err := audit.NewLog(o); err == nil {
			t.Errorf("NewLog with %s: no error", name)
		}
	}

	other, _ := audittest.Key(t).Signer(audit.Origin("receiver", "other", "JOBS"))
	stranger, _ := logkey.Generate("test")
	impostor, _ := stranger.Signer(audittest.Origin)
	sealers := map[string]audit.SealerOptions{
		"no signer":                    {},
		"signer of another log":        {Signer: other},
		"signer the log has no key of": {Signer: impostor},
		"known checkpoint unsigned":    {Signer: audittest.Signer(t), Known: [][]byte{[]byte("x\n1\ny\n\n")}},
	}
	for name, o := range sealers {
		if _, err := audit.NewSealer(w.Log, o); err == nil {
			t.Errorf("NewSealer with %s: no error", name)
		}
	}
}

func TestSealSomeSealsNoMore(t *testing.T) {
	w := audittest.NewWorld(t, 1000)
	s := w.Sealer(t)
	for _, step := range []struct{ most, want int64 }{{0, 0}, {1, 1}, {300, 301}, {0, 301}, {600, 901}, {600, 1000}, {5, 1000}} {
		cp, err := s.SealSome(t.Context(), step.most)
		if want := audittest.WantTree(t, w.Stream, 1, step.want); err != nil || cp.Tree != want || cp.Note == nil {
			t.Errorf("SealSome(%d) = %v, %v, want the signed tree of %d", step.most, cp.Tree, err, step.want)
		}
	}
}
