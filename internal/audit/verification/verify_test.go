package verification_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/logkey"
	"receiver/internal/audit/verification"
)

func TestVerifyFindsNothingWrong(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 700} {
		w := audittest.NewWorld(t, n)
		if n > 20 {
			w.Stream.Remove(3, 4, 19)
		}
		w.Seal(t)
		r := w.Verify(t, verification.Options{})
		if !r.OK() || r.Records+r.Absent != int64(n) || r.Size != int64(n) {
			t.Errorf("%d records: %+v", n, r)
		}
		if n > 20 && r.Absent != 3 {
			t.Errorf("%d records: %d absent, want 3", n, r.Absent)
		}
	}
}

// The tamper suite: what is done to 700 sealed records, and what Verify must say. The log
// was sealed at 200, 500 and 700; all three checkpoints were kept elsewhere. It is the test
// behind the table in docs/evidence.md.
func TestVerifyNamesWhatWasTamperedWith(t *testing.T) {
	stranger, _ := logkey.Generate("test")
	impostor, _ := stranger.Signer(audittest.Origin)
	forger := audittest.NewWorld(t, 700) // a forger who has the key signs another history
	forger.Stream.Remove(90)
	forger.Stream.Change(300, func(r *audit.Record) { r.Data = []byte("forged") })
	forged := forger.Seal(t)

	rows := []struct {
		name   string
		tamper func(w *audittest.World)
		want   []string
	}{
		{"nothing", func(w *audittest.World) {}, nil},
		{"a byte of a body", func(w *audittest.World) {
			w.Stream.Change(3, func(r *audit.Record) { r.Data[0] ^= 1 })
		}, []string{"changed 3"}},
		{"a header", func(w *audittest.World) {
			w.Stream.Change(256, func(r *audit.Record) { r.Header["ce-id"] = []string{"x"} })
		}, []string{"changed 256"}},
		{"a header added", func(w *audittest.World) {
			w.Stream.Change(257, func(r *audit.Record) { r.Header["x"] = nil })
		}, []string{"changed 257"}},
		{"a time", func(w *audittest.World) {
			w.Stream.Change(700, func(r *audit.Record) { r.Time = r.Time.Add(time.Nanosecond) })
		}, []string{"changed 700"}},
		{"a subject", func(w *audittest.World) {
			w.Stream.Change(1, func(r *audit.Record) { r.Subject = "jobs.other.1.finished" })
		}, []string{"changed 1"}},
		{"records of three tiles", func(w *audittest.World) {
			for _, seq := range []uint64{10, 11, 400, 600} {
				w.Stream.Change(seq, func(r *audit.Record) { r.Data = nil })
			}
		}, []string{"changed 10", "changed 11", "changed 400", "changed 600"}},
		{"one deleted", func(w *audittest.World) { w.Stream.Remove(40) }, []string{"missing 40"}},
		{"first deleted", func(w *audittest.World) { w.Stream.Remove(1) }, []string{"missing 1"}},
		{"two swapped", func(w *audittest.World) { swap(w.Stream, 5, 600) }, []string{"reordered 5", "reordered 600"}},
		{"one inserted, the next three moved up", func(w *audittest.World) {
			for seq := uint64(13); seq > 10; seq-- {
				w.Stream.Move(seq-1, seq)
			}
			w.Stream.Change(10, func(r *audit.Record) { r.Data = []byte("inserted") })
		}, []string{"changed 10", "reordered 11", "reordered 12", "reordered 13"}},
		{"one put where there was none", func(w *audittest.World) {
			w.Stream.Change(90, func(r *audit.Record) { *r = audittest.Record(90) })
		}, []string{"extra 90"}},
		{"one appended", func(w *audittest.World) { w.Stream.Add(1) }, []string{"unsealed 701"}},
		{"truncated", func(w *audittest.World) {
			w.Stream.Remove(698, 699, 700)
			w.Stream.Newest = 697
		}, []string{"missing 698", "missing 699", "missing 700"}},
		{"checkpoint rolled back", func(w *audittest.World) { w.Checkpoints.Set(w.Checkpoints.History[0]) }, []string{"rolled_back 0"}},
		{"checkpoint removed", func(w *audittest.World) { w.Checkpoints.Set(nil) }, []string{"rolled_back 0"}},
		{"checkpoint replaced by text", func(w *audittest.World) { w.Checkpoints.Set([]byte("hello\n")) }, []string{"checkpoint 0"}},
		{"checkpoint signed with another key", func(w *audittest.World) {
			cp, _ := audit.ReadCheckpoint(w.Checkpoints.Current)
			w.Checkpoints.Set(audittest.SignedNote(t, string(cp.Note[:strings.Index(string(cp.Note), "\n\n")+1]), impostor))
		}, []string{"checkpoint 0"}},
		{"checkpoint of a forged history, signed with the key", func(w *audittest.World) {
			w.Checkpoints.Set(forged.Note)
		}, []string{"fork 0"}},
		{"whole history forged, signed with the key", func(w *audittest.World) {
			w.Stream, w.Store = forger.Stream, forger.Store
			w.Checkpoints.Set(forged.Note)
			w.Log = w.OpenLog(t, w.Store, w.Checkpoints)
		}, []string{"fork 0", "fork 0"}},
		{"level-0 tile changed", func(w *audittest.World) { w.Store.Files["tile/0/001"][33] ^= 1 }, []string{"tile 0"}},
		{"level-0 tile missing", func(w *audittest.World) { delete(w.Store.Files, "tile/0/000") }, []string{"tile 0"}},
		{"level-0 tile cut", func(w *audittest.World) { w.Store.Files["tile/0/002.p/188"] = []byte("x") }, []string{"tile 0"}},
		{"last level-0 tile changed", func(w *audittest.World) { w.Store.Files["tile/0/002.p/188"][0] ^= 1 }, []string{"tile 0"}},
		{"upper tile changed", func(w *audittest.World) { w.Store.Files["tile/1/000.p/2"][0] ^= 1 }, []string{"tile 0"}},
		{"upper tile missing", func(w *audittest.World) { delete(w.Store.Files, "tile/1/000.p/2") }, []string{"tile 0"}},
		{"a record and another tile", func(w *audittest.World) {
			w.Stream.Change(3, func(r *audit.Record) { r.Data = nil })
			w.Store.Files["tile/0/001"][0] ^= 1
		}, []string{"tile 0", "changed 3"}},
		{"a record and the last tile", func(w *audittest.World) {
			w.Stream.Change(3, func(r *audit.Record) { r.Data = nil })
			w.Store.Files["tile/0/002.p/188"][0] ^= 1
		}, []string{"tile 0", "changed 3"}},
		{"a record of the last tile and another tile", func(w *audittest.World) {
			w.Stream.Change(690, func(r *audit.Record) { r.Data = nil })
			w.Store.Files["tile/0/001"][0] ^= 1
		}, []string{"tile 0", "changed 690"}},
		{"a record and its tile alike", func(w *audittest.World) {
			w.Stream.Change(300, func(r *audit.Record) { r.Data = nil })
			copy(w.Store.Files["tile/0/001"][43*32:], hashOf(t, w.Stream.Held[300]))
		}, []string{"root 0"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 200)
			w.Stream.Remove(90)
			s := w.Sealer(t)
			var kept []audit.Kept
			for _, grow := range []int{0, 300, 200} {
				w.Stream.Add(grow)
				cp, err := s.Seal(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, audit.Kept{Where: "local file", Note: cp.Note})
			}
			row.tamper(w)
			r := w.Verify(t, verification.Options{Kept: kept})
			if got := audittest.Brief(r); !slices.Equal(got, row.want) {
				t.Errorf("faults = %v, want %v\n%v", got, row.want, r.Faults)
			}
			if r.OK() != (len(row.want) == 0) {
				t.Errorf("OK = %v with faults %v", r.OK(), r.Faults)
			}
		})
	}
}

func hashOf(t testing.TB, r audit.Record) []byte {
	t.Helper()
	h, err := r.LeafHash()
	if err != nil {
		t.Fatal(err)
	}
	return h[:]
}

func swap(s *audittest.Stream, a, b uint64) {
	was := s.Held[a]
	s.Move(b, a)
	was.Seq = b
	s.Held[b] = was
}

// A backup of everything was restored: what came after it is named, record by record.
func TestVerifyNamesWhatABackupLacks(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	kept := w.KeptAt(t, 20, 30)
	backup := audittest.NewWorld(t, 20)
	backup.Seal(t)
	r := backup.Verify(t, verification.Options{Kept: kept})
	want := []string{"rolled_back 0", "root 0", "tile 0"}
	for seq := 21; seq <= 30; seq++ {
		want = append(want, fmt.Sprintf("missing %d", seq))
	}
	if got := audittest.Brief(r); !slices.Equal(got, want) || r.Proved {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

// If the whole log was rewritten, no record can be named, but kept checkpoints show where the
// change begins.
func TestVerifyNarrowsARewrittenHistory(t *testing.T) {
	w := audittest.NewWorld(t, 0)
	kept := w.KeptAt(t, 200, 500, 700)
	forger := audittest.NewWorld(t, 700)
	forger.Stream.Change(300, func(r *audit.Record) { r.Data = nil })
	forger.Seal(t)
	w.Stream, w.Store = forger.Stream, forger.Store
	w.Log = w.OpenLog(t, w.Store, w.Checkpoints)

	r := w.Verify(t, verification.Options{Kept: kept})
	if got := audittest.Brief(r); !slices.Equal(got, []string{"root 0"}) || !strings.Contains(r.Faults[0].Detail, "within sequences 201 to 500") {
		t.Errorf("faults = %v, want one of the root, within sequences 201 to 500", r.Faults)
	}
}

func TestVerifyNamesRecordsEvenWithoutASignedCheckpoint(t *testing.T) {
	w := audittest.NewWorld(t, 300)
	w.Seal(t)
	stranger, _ := logkey.Generate("test")
	impostor, _ := stranger.Signer(audittest.Origin)
	text, _, _ := strings.Cut(string(w.Checkpoints.Current), "\n\n")
	w.Checkpoints.Set(audittest.SignedNote(t, text+"\n", impostor))
	w.Stream.Change(7, func(r *audit.Record) { r.Data = nil })
	r := w.Verify(t, verification.Options{})
	if got, want := audittest.Brief(r), []string{"checkpoint 0", "changed 7"}; !slices.Equal(got, want) || r.Proved {
		t.Errorf("faults = %v, proved %v, want %v, unproved", got, r.Proved, want)
	}

	// A size out of thin air costs no time.
	w.Checkpoints.Set(audittest.SignedNote(t, strings.Replace(text, "300", "9000000000000000000", 1)+"\n", impostor))
	if r := w.Verify(t, verification.Options{}); r.OK() || r.Size != 300 {
		t.Errorf("report = %+v, want size 300 and faults", r)
	}
}

func TestVerifyWithoutAnyCheckpoint(t *testing.T) {
	w := audittest.NewWorld(t, 2)
	r := w.Verify(t, verification.Options{})
	if got, want := audittest.Brief(r), []string{"checkpoint 0", "unsealed 1", "unsealed 2"}; !slices.Equal(got, want) || r.OK() {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

func TestVerifyBoundsWhatMustBeThere(t *testing.T) {
	w := audittest.NewWorld(t, 300)
	w.Seal(t)
	for seq := uint64(1); seq <= 40; seq++ {
		w.Stream.Remove(seq)
	}
	w.Stream.Remove(300)
	w.Stream.Add(1)
	o := verification.Options{From: 41, To: 299, SealedBy: audittest.Record(301).Time}
	if r := w.Verify(t, o); !r.OK() || r.Outside != 41 || r.Unsealed != 1 || r.From != 41 || r.To != 299 {
		t.Errorf("report = %+v, want no fault, 41 outside and 1 unsealed", r)
	}
	o = verification.Options{From: 40, SealedBy: audittest.Record(301).Time.Add(1)}
	want := []string{"missing 40", "missing 300", "unsealed 301"}
	if got := audittest.Brief(w.Verify(t, o)); !slices.Equal(got, want) {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

func TestVerifyAsksReverifyAboutEachRecord(t *testing.T) {
	w := audittest.NewWorld(t, 600)
	w.Seal(t)
	w.Stream.Add(1)
	o := verification.Options{Reverify: func(r audit.Record) error {
		switch {
		case r.Seq == 5 || r.Seq == 601:
			return errors.New("no configured key made this signature")
		case r.Seq > 500:
			return fmt.Errorf("sequence %d: %w", r.Seq, audit.ErrNotChecked)
		}
		return nil
	}}
	r := w.Verify(t, o)
	want := []string{"hmac 5", "hmac 601", "unsealed 601"}
	if got := audittest.Brief(r); !slices.Equal(got, want) || r.Reverified != 499 || r.NotChecked != 100 {
		t.Errorf("faults %v, %d reverified, %d not checked, want %v, 499, 100", got, r.Reverified, r.NotChecked, want)
	}
}

func TestVerifyReportsProgressAndBoundsFaults(t *testing.T) {
	w := audittest.NewWorld(t, 1600)
	w.Seal(t)
	for seq := uint64(1); seq <= 1100; seq++ {
		w.Stream.Change(seq, func(r *audit.Record) { r.Data = nil })
	}
	var seen []int64
	r := w.Verify(t, verification.Options{
		Progress: func(done, total int64) {
			if total != 1600 {
				t.Errorf("total = %d, want 1600", total)
			}
			seen = append(seen, done)
		},
	})
	if len(r.Faults) != 1000 || r.Omitted != 100 || r.OK() {
		t.Errorf("%d faults and %d omitted, want 1000 and 100", len(r.Faults), r.Omitted)
	}
	if !slices.IsSorted(seen) || seen[len(seen)-1] != 1600 {
		t.Errorf("progress = %v, want ascending up to 1600", seen)
	}
}

func TestVerifyOfADisorderlySource(t *testing.T) {
	w := audittest.NewWorld(t, 5)
	w.Seal(t)
	changed := audittest.Record(2)
	changed.Data = nil
	stranger := audittest.Record(4)
	stranger.Stream = "ATTEMPTS"
	rows := []struct {
		name string
		seqs []audit.Record
		want []string
	}{
		{"out of order", []audit.Record{audittest.Record(1), audittest.Record(3), audittest.Record(2), audittest.Record(4), audittest.Record(5)}, []string{"reordered 2"}},
		{"out of order and changed", []audit.Record{audittest.Record(1), audittest.Record(3), changed, audittest.Record(4), audittest.Record(5)}, []string{"changed 2", "reordered 2"}},
		{"one twice", []audit.Record{audittest.Record(1), audittest.Record(1), audittest.Record(2), audittest.Record(3), audittest.Record(4), audittest.Record(5)}, []string{"extra 1"}},
		{"of another stream", []audit.Record{audittest.Record(1), audittest.Record(2), audittest.Record(3), stranger, audittest.Record(5)}, []string{"changed 4"}},
		{"before the first", []audit.Record{{Stream: "JOBS", Time: audittest.Start}, audittest.Record(1), audittest.Record(2), audittest.Record(3), audittest.Record(4), audittest.Record(5)}, []string{"extra 0"}},
		{"a sequence far off", []audit.Record{audittest.Record(1), audittest.Record(2), audittest.Record(3), audittest.Record(4), {Stream: "JOBS", Seq: 1 << 63, Time: audittest.Start}}, []string{"missing 5", "unsealed 9223372036854775808"}},
		{"a time that has no encoding", []audit.Record{audittest.Record(1), audittest.Record(2), audittest.Record(3), audittest.Record(4), {Stream: "JOBS", Seq: 5}}, []string{"changed 5"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			log, err := audit.NewLog(audit.LogOptions{
				Origin: audittest.Origin, Stream: "JOBS", Source: &audittest.Disordered{Stream: w.Stream, Said: row.seqs},
				Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := verification.Verify(t.Context(), log, verification.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := audittest.Brief(r); !slices.Equal(got, row.want) {
				t.Errorf("faults = %v, want %v", r.Faults, row.want)
			}
		})
	}
}

// A log in use can be verified: nothing that the sealer does meanwhile looks like a fault.
func TestVerifyWhileTheLogGrows(t *testing.T) {
	w := audittest.NewWorld(t, 200)
	s := w.Sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed := make(chan struct{})
	go func() {
		defer close(sealed)
		for range 100 {
			w.Stream.Add(7)
			if _, err := s.Seal(t.Context()); err != nil {
				t.Errorf("Seal: %v", err)
			}
		}
	}()
	for done := false; !done; {
		select {
		case <-sealed:
			done = true
		default:
		}
		if r := w.Verify(t, verification.Options{SealedBy: audittest.Start}); !r.OK() {
			t.Errorf("faults %v", r.Faults)
		}
	}
}

// The author of an archive, or the thief of a key, can claim any number of leaves. The work is
// limited by the existing records.
func TestAClaimOfCountlessLeavesIsRefuted(t *testing.T) {
	for name, leaves := range map[string]int64{"2^61": 1 << 61, "2^62": 1 << 62, "all": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := audittest.NewWorld(t, 0)
			kept := w.KeptAt(t, 300, 700)
			w.Checkpoints.Set(audittest.HugeCheckpoint(t, leaves))
			w.Stream.Change(5, func(r *audit.Record) { r.Data = nil })
			r := w.Verify(t, verification.Options{Kept: kept})
			got := audittest.Brief(r)
			for _, want := range []string{"changed 5", "root 0", "missing 1049601"} {
				if r.OK() || len(got) > 10 || !slices.Contains(got, want) {
					t.Errorf("%d faults, want a few, among them %s: %.500s", len(got), want, fmt.Sprint(got))
				}
			}
		})
	}
	t.Run("with a record that far away", func(t *testing.T) {
		t.Parallel()
		w := audittest.NewWorld(t, 0)
		kept := w.KeptAt(t, 300, 700)
		w.Checkpoints.Set(audittest.HugeCheckpoint(t, 1<<61))
		r := audittest.Record(1 << 60)
		w.Stream.Sparse = []audit.Record{r}
		if r := w.Verify(t, verification.Options{Kept: kept}); r.OK() {
			t.Errorf("report = %.300s, want faults", fmt.Sprint(audittest.Brief(r)))
		}
	})
}

// A record that a limit drops between the first look at a stream and its reading was not removed by
// an attacker.
func TestRecordsDroppedDuringVerifyAreNoFault(t *testing.T) {
	d, log := audittest.DrainingLog(t)
	d.Remove(400)
	r, err := verification.Verify(t.Context(), log, verification.Options{From: 1, Pushed: d.First})
	if err != nil {
		t.Fatal(err)
	}
	if got := audittest.Brief(r); !slices.Equal(got, []string{"missing 400"}) || r.Outside != 200 || r.From != 301 {
		t.Errorf("faults %v, %d outside, from %d, want the one that was removed, 200 and 301", got, r.Outside, r.From)
	}
	if _, err := verification.Verify(t.Context(), log, verification.Options{Pushed: func(context.Context) (uint64, error) { return 0, errors.New("away") }}); err == nil {
		t.Error("Verify that cannot ask again: no error")
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	w := audittest.NewWorld(t, 700)
	w.Seal(t)
	w.Checkpoints.Set(audittest.HugeCheckpoint(t, 1<<61))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tiles := 0
	_, err := verification.Verify(ctx, w.Log, verification.Options{Progress: func(done, _ int64) {
		if done > 1000 {
			tiles++
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || tiles != 1 {
		t.Errorf("Verify = %v after %d more tiles, want context.Canceled after one", err, tiles)
	}
}
