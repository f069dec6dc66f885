package audit_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

// Lost tiles come back from the records, byte for byte, and only where these lead to the signed
// root. Until then Verify reports them.
func TestLostTilesAreRebuilt(t *testing.T) {
	t.Parallel()
	remove := func(names ...string) func(*audittest.World) {
		return func(w *audittest.World) {
			for _, name := range names {
				delete(w.Store.Files, name)
			}
		}
	}
	all := func(w *audittest.World) { clear(w.Store.Files) }
	for _, row := range []struct {
		name string
		size int
		lose func(w *audittest.World)
		want audit.Rebuilt
		err  bool // the tiles cannot be rebuilt, and nothing more is sealed
	}{
		{"nothing", 3000, func(*audittest.World) {}, audit.Rebuilt{}, false},
		{"all", 66_000, all, audit.Rebuilt{Tiles: 261}, false},
		{"the first", 3000, remove("tile/0/000"), audit.Rebuilt{Tiles: 1}, false},
		{"some of the middle", 3000, remove("tile/0/004", "tile/0/005", "tile/0/009"), audit.Rebuilt{Tiles: 3}, false},
		{"the unfinished one", 3000, remove("tile/0/011.p/184"), audit.Rebuilt{Tiles: 1}, false},
		{"the upper one", 3000, remove("tile/1/000.p/11"), audit.Rebuilt{Tiles: 1}, false},
		{"one of each level", 66_000, remove("tile/0/007", "tile/1/000", "tile/2/000.p/1"), audit.Rebuilt{Tiles: 3}, false},
		{"one cut", 3000, func(w *audittest.World) { w.Store.Files["tile/0/007"] = w.Store.Files["tile/0/007"][:320] }, audit.Rebuilt{Tiles: 1}, false},
		{"the unfinished one changed", 3000, func(w *audittest.World) { w.Store.Files["tile/0/011.p/184"][5] ^= 1 }, audit.Rebuilt{Tiles: 1}, false},
		{"one changed, and one gone", 3000, func(w *audittest.World) {
			w.Store.Files["tile/0/007"][5] ^= 1
			delete(w.Store.Files, "tile/0/011.p/184")
		}, audit.Rebuilt{Tiles: 2}, false},
		{"one, after its records expired", 3000, func(w *audittest.World) { w.Stream.Remove(sequences(1, 256)...); remove("tile/0/000", "tile/0/001")(w) }, audit.Rebuilt{Tiles: 1, Lost: 1}, false},
		{"others, after records expired", 3000, func(w *audittest.World) {
			w.Stream.Remove(sequences(1, 300)...)
			remove("tile/0/002", "tile/1/000.p/11")(w)
		}, audit.Rebuilt{Tiles: 2}, false},
		{"one, of a changed record", 3000, func(w *audittest.World) {
			w.Stream.Change(3, func(r *audit.Record) { r.Data = []byte("other") })
			remove("tile/0/000")(w)
		}, audit.Rebuilt{Lost: 1}, false},
		{"all, after records expired", 3000, func(w *audittest.World) { w.Stream.Remove(1); all(w) }, audit.Rebuilt{}, true},
		{"all, and a record changed", 3000, func(w *audittest.World) {
			w.Stream.Change(3, func(r *audit.Record) { r.Data = []byte("other") })
			all(w)
		}, audit.Rebuilt{}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := audittest.NewWorld(t, row.size)
			w.Stream.Remove(700, 2000) // sealed as absent
			cp := w.Seal(t)
			was := maps.Clone(w.Store.Files)
			for name, data := range was {
				was[name] = slices.Clone(data)
			}
			row.lose(w)
			if lost := row.name != "nothing"; strings.Contains(strings.Join(audittest.Brief(w.Verify(t, verification.Options{From: 301})), " "), "tile") != lost {
				t.Errorf("Verify reports %v, want tiles: %v", audittest.Brief(w.Verify(t, verification.Options{From: 301})), lost)
			}
			var did audit.Rebuilt
			s := audittest.NewSealer(t, w.Log, audit.SealerOptions{Rebuilt: func(r audit.Rebuilt) { did = r }})
			got, err := s.Seal(t.Context())
			if errors.Is(err, audit.ErrTile) != row.err || !row.err && (err != nil || got.Tree != cp.Tree) {
				t.Fatalf("Seal = %v, %v, want an error: %v", got.Tree, err, row.err)
			}
			if row.err {
				if len(w.Store.Files) != 0 || !strings.Contains(err.Error(), "restore the bucket TILES") {
					t.Errorf("Seal stored %v and says %v, want nothing and what to do", w.Store.Names(), err)
				}
				return
			}
			if want := row.want; did != want && want.Tiles > 0 {
				t.Errorf("rebuilt %+v, want %+v", did, want)
			}
			for name, data := range w.Store.Files {
				if !bytes.Equal(data, was[name]) {
					t.Errorf("%s is not as it was", name)
				}
			}
			if missing := len(was) - len(w.Store.Files); missing != row.want.Lost {
				t.Errorf("%d tiles are missing, want %d", missing, row.want.Lost)
			}
			w.Stream.Add(1)
			if got, err := s.Seal(t.Context()); err != nil || got.Tree.N != int64(row.size)+1 {
				t.Errorf("the next Seal = %v, %v", got.Tree, err)
			}
		})
	}
}

func sequences(from, to uint64) (all []uint64) {
	for seq := from; seq <= to; seq++ {
		all = append(all, seq)
	}
	return all
}

// Of many lost tiles, the records of some are read twice.
func TestManyLostTilesAreRebuilt(t *testing.T) {
	audit.SetMaxDerived(3)
	defer audit.SetMaxDerived(4096)
	w := audittest.NewWorld(t, 3000)
	w.Seal(t)
	want := maps.Clone(w.Store.Files)
	clear(w.Store.Files)
	w.Seal(t)
	if !maps.EqualFunc(w.Store.Files, want, bytes.Equal) {
		t.Errorf("rebuilt %v, want %d tiles", w.Store.Names(), len(want))
	}
}

// A sealer that runs finds at its next search that the tiles are gone. Then every record can be
// proved again.
func TestTilesLostWhileSealing(t *testing.T) {
	t.Parallel()
	w := audittest.NewWorld(t, 1000)
	s := w.Sealer(t)
	for range 3 {
		if _, err := s.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		clear(w.Store.Files)
		if _, err := w.Log.Prove(t.Context(), 5); !errors.Is(err, audit.ErrTile) || !strings.Contains(err.Error(), "audit seal") {
			t.Errorf("Prove without tiles = %v, want ErrTile and what to do", err)
		}
		w.Stream.Add(700)
		s.Search()
		if _, err := s.Seal(t.Context()); err != nil {
			t.Fatalf("Seal without tiles = %v", err)
		}
		if _, err := w.Log.Prove(t.Context(), 5, w.Stream.Newest); err != nil {
			t.Errorf("Prove = %v", err)
		}
		if r := w.Verify(t, verification.Options{}); !r.OK() {
			t.Errorf("Verify = %v", audittest.Brief(r))
		}
	}
}
