package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// verify runs Verify over the world and fails the test if it cannot look.
func (w *world) verify(t testing.TB, o audit.VerifyOptions) audit.Report {
	t.Helper()
	report, err := w.log.Verify(t.Context(), o)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return report
}

// brief lists the faults as "kind sequence", in order.
func brief(r audit.Report) []string {
	faults := []string{}
	for _, f := range r.Faults {
		faults = append(faults, fmt.Sprintf("%s %d", f.Kind, f.Seq))
	}
	return faults
}

func TestVerifyFindsNothingWrong(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 700} {
		w := newWorld(t, n)
		if n > 20 {
			w.stream.remove(3, 4, 19)
		}
		w.seal(t)
		r := w.verify(t, audit.VerifyOptions{})
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
	stranger, _ := audit.GenerateKey("test")
	impostor, _ := stranger.Signer(testOrigin)
	forger := newWorld(t, 700) // whoever holds the key and signs another history
	forger.stream.remove(90)
	forger.stream.change(300, func(r *audit.Record) { r.Data = []byte("forged") })
	forged := forger.seal(t)

	rows := []struct {
		name   string
		tamper func(w *world)
		want   []string
	}{
		{"nothing", func(w *world) {}, nil},
		{"a byte of a body", func(w *world) {
			w.stream.change(3, func(r *audit.Record) { r.Data[0] ^= 1 })
		}, []string{"changed 3"}},
		{"a header", func(w *world) {
			w.stream.change(256, func(r *audit.Record) { r.Header["ce-id"] = []string{"x"} })
		}, []string{"changed 256"}},
		{"a header added", func(w *world) {
			w.stream.change(257, func(r *audit.Record) { r.Header["x"] = nil })
		}, []string{"changed 257"}},
		{"a time", func(w *world) {
			w.stream.change(700, func(r *audit.Record) { r.Time = r.Time.Add(time.Nanosecond) })
		}, []string{"changed 700"}},
		{"a subject", func(w *world) {
			w.stream.change(1, func(r *audit.Record) { r.Subject = "jobs.other.1.finished" })
		}, []string{"changed 1"}},
		{"records of three tiles", func(w *world) {
			for _, seq := range []uint64{10, 11, 400, 600} {
				w.stream.change(seq, func(r *audit.Record) { r.Data = nil })
			}
		}, []string{"changed 10", "changed 11", "changed 400", "changed 600"}},
		{"one deleted", func(w *world) { w.stream.remove(40) }, []string{"missing 40"}},
		{"first deleted", func(w *world) { w.stream.remove(1) }, []string{"missing 1"}},
		{"two swapped", func(w *world) { swap(w.stream, 5, 600) }, []string{"reordered 5", "reordered 600"}},
		{"one inserted, the next three moved up", func(w *world) {
			for seq := uint64(13); seq > 10; seq-- {
				w.stream.move(seq-1, seq)
			}
			w.stream.change(10, func(r *audit.Record) { r.Data = []byte("inserted") })
		}, []string{"changed 10", "reordered 11", "reordered 12", "reordered 13"}},
		{"one put where there was none", func(w *world) {
			w.stream.change(90, func(r *audit.Record) { *r = testRecord(90) })
		}, []string{"extra 90"}},
		{"one appended", func(w *world) { w.stream.add(1) }, []string{"unsealed 701"}},
		{"truncated", func(w *world) {
			w.stream.remove(698, 699, 700)
			w.stream.last = 697
		}, []string{"missing 698", "missing 699", "missing 700"}},
		{"checkpoint rolled back", func(w *world) { w.cps.set(w.cps.history[0]) }, []string{"rolled_back 0"}},
		{"checkpoint removed", func(w *world) { w.cps.set(nil) }, []string{"rolled_back 0"}},
		{"checkpoint replaced by text", func(w *world) { w.cps.set([]byte("hello\n")) }, []string{"checkpoint 0"}},
		{"checkpoint signed with another key", func(w *world) {
			cp, _ := audit.ReadCheckpoint(w.cps.current)
			w.cps.set(signedNote(t, string(cp.Note[:strings.Index(string(cp.Note), "\n\n")+1]), impostor))
		}, []string{"checkpoint 0"}},
		{"checkpoint of a forged history, signed with the key", func(w *world) {
			w.cps.set(forged.Note)
		}, []string{"fork 0"}},
		{"whole history forged, signed with the key", func(w *world) {
			w.stream, w.store = forger.stream, forger.store
			w.cps.set(forged.Note)
			w.log = w.openLog(t, w.store, w.cps)
		}, []string{"fork 0", "fork 0"}},
		{"level-0 tile changed", func(w *world) { w.store.files["tile/0/001"][33] ^= 1 }, []string{"tile 0"}},
		{"level-0 tile missing", func(w *world) { delete(w.store.files, "tile/0/000") }, []string{"tile 0"}},
		{"level-0 tile cut", func(w *world) { w.store.files["tile/0/002.p/188"] = []byte("x") }, []string{"tile 0"}},
		{"last level-0 tile changed", func(w *world) { w.store.files["tile/0/002.p/188"][0] ^= 1 }, []string{"tile 0"}},
		{"upper tile changed", func(w *world) { w.store.files["tile/1/000.p/2"][0] ^= 1 }, []string{"tile 0"}},
		{"upper tile missing", func(w *world) { delete(w.store.files, "tile/1/000.p/2") }, []string{"tile 0"}},
		{"a record and another tile", func(w *world) {
			w.stream.change(3, func(r *audit.Record) { r.Data = nil })
			w.store.files["tile/0/001"][0] ^= 1
		}, []string{"tile 0", "changed 3"}},
		{"a record and the last tile", func(w *world) {
			w.stream.change(3, func(r *audit.Record) { r.Data = nil })
			w.store.files["tile/0/002.p/188"][0] ^= 1
		}, []string{"tile 0", "changed 3"}},
		{"a record of the last tile and another tile", func(w *world) {
			w.stream.change(690, func(r *audit.Record) { r.Data = nil })
			w.store.files["tile/0/001"][0] ^= 1
		}, []string{"tile 0", "changed 690"}},
		{"a record and its tile alike", func(w *world) {
			w.stream.change(300, func(r *audit.Record) { r.Data = nil })
			copy(w.store.files["tile/0/001"][43*32:], hashOf(t, w.stream.records[300]))
		}, []string{"root 0"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, 200)
			w.stream.remove(90)
			s := w.sealer(t)
			var kept []audit.Kept
			for _, grow := range []int{0, 300, 200} {
				w.stream.add(grow)
				cp, err := s.Seal(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, audit.Kept{Where: "local file", Note: cp.Note})
			}
			row.tamper(w)
			r := w.verify(t, audit.VerifyOptions{Kept: kept})
			if got := brief(r); !slices.Equal(got, row.want) {
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

// move puts the message of one sequence at another, as rewriting the file store would.
func (s *memStream) move(from, to uint64) {
	r := s.records[from]
	r.Seq = to
	s.records[to] = r
}

func swap(s *memStream, a, b uint64) {
	was := s.records[a]
	s.move(b, a)
	was.Seq = b
	s.records[b] = was
}

// keptAt seals w at each size in turn and returns the checkpoints.
func (w *world) keptAt(t testing.TB, sizes ...int) []audit.Kept {
	t.Helper()
	s := w.sealer(t)
	var kept []audit.Kept
	for _, size := range sizes {
		w.stream.add(size - int(w.stream.last))
		cp, err := s.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, audit.Kept{Where: "local file", Note: cp.Note})
	}
	return kept
}

// A backup of everything was restored: what came after it is named, record by record.
func TestVerifyNamesWhatABackupLacks(t *testing.T) {
	w := newWorld(t, 0)
	kept := w.keptAt(t, 20, 30)
	backup := newWorld(t, 20)
	backup.seal(t)
	r := backup.verify(t, audit.VerifyOptions{Kept: kept})
	want := []string{"rolled_back 0", "root 0", "tile 0"}
	for seq := 21; seq <= 30; seq++ {
		want = append(want, fmt.Sprintf("missing %d", seq))
	}
	if got := brief(r); !slices.Equal(got, want) || r.Proved {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

// What was changed everywhere cannot be named, but kept checkpoints say where it begins.
func TestVerifyNarrowsARewrittenHistory(t *testing.T) {
	w := newWorld(t, 0)
	kept := w.keptAt(t, 200, 500, 700)
	forger := newWorld(t, 700)
	forger.stream.change(300, func(r *audit.Record) { r.Data = nil })
	forger.seal(t)
	w.stream, w.store = forger.stream, forger.store
	w.log = w.openLog(t, w.store, w.cps)

	r := w.verify(t, audit.VerifyOptions{Kept: kept})
	if got := brief(r); !slices.Equal(got, []string{"root 0"}) || !strings.Contains(r.Faults[0].Detail, "within sequences 201 to 500") {
		t.Errorf("faults = %v, want one of the root, within sequences 201 to 500", r.Faults)
	}
}

func TestVerifyNamesRecordsEvenWithoutASignedCheckpoint(t *testing.T) {
	w := newWorld(t, 300)
	w.seal(t)
	stranger, _ := audit.GenerateKey("test")
	impostor, _ := stranger.Signer(testOrigin)
	text, _, _ := strings.Cut(string(w.cps.current), "\n\n")
	w.cps.set(signedNote(t, text+"\n", impostor))
	w.stream.change(7, func(r *audit.Record) { r.Data = nil })
	r := w.verify(t, audit.VerifyOptions{})
	if got, want := brief(r), []string{"checkpoint 0", "changed 7"}; !slices.Equal(got, want) || r.Proved {
		t.Errorf("faults = %v, proved %v, want %v, unproved", got, r.Proved, want)
	}

	// A size out of thin air costs no time.
	w.cps.set(signedNote(t, strings.Replace(text, "300", "9000000000000000000", 1)+"\n", impostor))
	if r := w.verify(t, audit.VerifyOptions{}); r.OK() || r.Size != 300 {
		t.Errorf("report = %+v, want size 300 and faults", r)
	}
}

func TestVerifyWithoutAnyCheckpoint(t *testing.T) {
	w := newWorld(t, 2)
	r := w.verify(t, audit.VerifyOptions{})
	if got, want := brief(r), []string{"checkpoint 0", "unsealed 1", "unsealed 2"}; !slices.Equal(got, want) || r.OK() {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

func TestVerifyBoundsWhatMustBeThere(t *testing.T) {
	w := newWorld(t, 300)
	w.seal(t)
	for seq := uint64(1); seq <= 40; seq++ {
		w.stream.remove(seq)
	}
	w.stream.remove(300)
	w.stream.add(1)
	o := audit.VerifyOptions{From: 41, To: 299, SealedBy: testRecord(301).Time}
	if r := w.verify(t, o); !r.OK() || r.Outside != 41 || r.Unsealed != 1 || r.From != 41 || r.To != 299 {
		t.Errorf("report = %+v, want no fault, 41 outside and 1 unsealed", r)
	}
	o = audit.VerifyOptions{From: 40, SealedBy: testRecord(301).Time.Add(1)}
	want := []string{"missing 40", "missing 300", "unsealed 301"}
	if got := brief(w.verify(t, o)); !slices.Equal(got, want) {
		t.Errorf("faults = %v, want %v", got, want)
	}
}

func TestVerifyAsksReverifyAboutEachRecord(t *testing.T) {
	w := newWorld(t, 600)
	w.seal(t)
	w.stream.add(1)
	o := audit.VerifyOptions{Reverify: func(r audit.Record) error {
		switch {
		case r.Seq == 5 || r.Seq == 601:
			return errors.New("no configured key made this signature")
		case r.Seq > 500:
			return fmt.Errorf("sequence %d: %w", r.Seq, audit.ErrNotChecked)
		}
		return nil
	}}
	r := w.verify(t, o)
	want := []string{"hmac 5", "hmac 601", "unsealed 601"}
	if got := brief(r); !slices.Equal(got, want) || r.Reverified != 499 || r.NotChecked != 100 {
		t.Errorf("faults %v, %d reverified, %d not checked, want %v, 499, 100", got, r.Reverified, r.NotChecked, want)
	}
}

func TestVerifyReportsProgressAndBoundsFaults(t *testing.T) {
	w := newWorld(t, 600)
	w.seal(t)
	for seq := uint64(1); seq <= 100; seq++ {
		w.stream.change(seq, func(r *audit.Record) { r.Data = nil })
	}
	var seen []int64
	r := w.verify(t, audit.VerifyOptions{
		MaxFaults: 10,
		Progress: func(done, total int64) {
			if total != 600 {
				t.Errorf("total = %d, want 600", total)
			}
			seen = append(seen, done)
		},
	})
	if len(r.Faults) != 10 || r.Omitted != 90 || r.OK() {
		t.Errorf("%d faults and %d omitted, want 10 and 90", len(r.Faults), r.Omitted)
	}
	if !slices.IsSorted(seen) || seen[len(seen)-1] != 600 {
		t.Errorf("progress = %v, want ascending up to 600", seen)
	}
}

func TestVerifyOfADisorderlySource(t *testing.T) {
	w := newWorld(t, 5)
	w.seal(t)
	changed := testRecord(2)
	changed.Data = nil
	stranger := testRecord(4)
	stranger.Stream = "ATTEMPTS"
	rows := []struct {
		name string
		seqs []audit.Record
		want []string
	}{
		{"out of order", []audit.Record{testRecord(1), testRecord(3), testRecord(2), testRecord(4), testRecord(5)}, []string{"reordered 2"}},
		{"out of order and changed", []audit.Record{testRecord(1), testRecord(3), changed, testRecord(4), testRecord(5)}, []string{"changed 2", "reordered 2"}},
		{"one twice", []audit.Record{testRecord(1), testRecord(1), testRecord(2), testRecord(3), testRecord(4), testRecord(5)}, []string{"extra 1"}},
		{"of another stream", []audit.Record{testRecord(1), testRecord(2), testRecord(3), stranger, testRecord(5)}, []string{"changed 4"}},
		{"before the first", []audit.Record{{Stream: "JOBS", Time: start}, testRecord(1), testRecord(2), testRecord(3), testRecord(4), testRecord(5)}, []string{"extra 0"}},
		{"a sequence far off", []audit.Record{testRecord(1), testRecord(2), testRecord(3), testRecord(4), {Stream: "JOBS", Seq: 1 << 63, Time: start}}, []string{"missing 5", "unsealed 9223372036854775808"}},
		{"a time that has no encoding", []audit.Record{testRecord(1), testRecord(2), testRecord(3), testRecord(4), {Stream: "JOBS", Seq: 5}}, []string{"changed 5"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			log, err := audit.NewLog(audit.LogOptions{
				Origin: testOrigin, Stream: "JOBS", Source: &disordered{w.stream, row.seqs},
				Storage: w.store, Checkpoints: w.cps, Keys: testKeys(t),
			})
			if err != nil {
				t.Fatal(err)
			}
			r, err := log.Verify(t.Context(), audit.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := brief(r); !slices.Equal(got, row.want) {
				t.Errorf("faults = %v, want %v", r.Faults, row.want)
			}
		})
	}
}

// A log in use can be verified: nothing that the sealer does meanwhile looks like a fault.
func TestVerifyWhileTheLogGrows(t *testing.T) {
	w := newWorld(t, 200)
	s := w.sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed := make(chan struct{})
	go func() {
		defer close(sealed)
		for range 100 {
			w.stream.add(7)
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
		if r := w.verify(t, audit.VerifyOptions{SealedBy: start}); !r.OK() {
			t.Errorf("faults %v", r.Faults)
		}
	}
}

// hugeCheckpoint claims so many leaves, signed with the log's key.
func hugeCheckpoint(t testing.TB, leaves int64) []byte {
	t.Helper()
	text := fmt.Sprintf("%s\n%d\n%s\n", testOrigin, leaves, tlog.RecordHash([]byte("nothing")))
	signed, err := note.Sign(&note.Note{Text: text}, testSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Whoever writes an archive, or has stolen a key, can claim any number of leaves. What is
// looked for is bounded by what is there.
func TestAClaimOfCountlessLeavesIsRefuted(t *testing.T) {
	for name, leaves := range map[string]int64{"2^61": 1 << 61, "2^62": 1 << 62, "all": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			kept := w.keptAt(t, 300, 700)
			w.cps.set(hugeCheckpoint(t, leaves))
			w.stream.change(5, func(r *audit.Record) { r.Data = nil })
			r := w.verify(t, audit.VerifyOptions{Kept: kept})
			got := brief(r)
			for _, want := range []string{"changed 5", "root 0", "missing 1049601"} {
				if r.OK() || len(got) > 10 || !slices.Contains(got, want) {
					t.Errorf("%d faults, want a few, among them %s: %.500s", len(got), want, fmt.Sprint(got))
				}
			}
			if err := w.log.Export(t.Context(), t.TempDir(), audit.ExportOptions{}); !errors.Is(err, audit.ErrRewound) {
				t.Errorf("Export = %v, want ErrRewound", err)
			}
		})
	}
	t.Run("in an archive, unsigned", func(t *testing.T) {
		t.Parallel()
		dir, _ := exported(t, audit.ExportOptions{})
		claim := bytes.Replace(hugeCheckpoint(t, 1<<61), []byte("— receiver"), []byte("— deceiver"), 1)
		for name, text := range map[string][]byte{
			"checkpoint":  claim,
			"checkpoints": nil,
			"log.json": fmt.Appendf(nil, `{"format": "receiver-export/v1", "origin": "%s", "stream": "JOBS", "first_sequence": 1, "from": 1, "to": %d}`,
				testOrigin, uint64(1<<62)),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if r := verifyFolder(t, dir); r.OK() || !slices.Contains(brief(r), "checkpoint 0") {
			t.Errorf("report = %.300s, want faults", fmt.Sprint(brief(r)))
		}
	})
	t.Run("with a record that far away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 0)
		kept := w.keptAt(t, 300, 700)
		w.cps.set(hugeCheckpoint(t, 1<<61))
		r := testRecord(1 << 60)
		w.stream.sparse = []audit.Record{r}
		if r := w.verify(t, audit.VerifyOptions{Kept: kept}); r.OK() {
			t.Errorf("report = %.300s, want faults", fmt.Sprint(brief(r)))
		}
	})
}

// draining is a stream whose limit pushes out the oldest records while it is read.
type draining struct {
	*memStream
	begin, until uint64 // when begin is read, all before until go
}

func (d *draining) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return d.memStream.Records(ctx, from, to, func(r audit.Record) error {
		if r.Seq == d.begin {
			for seq := uint64(1); seq < d.until; seq++ {
				d.remove(seq)
			}
		}
		return yield(r)
	})
}

func (d *draining) first(context.Context) (uint64, error) {
	for seq := uint64(1); ; seq++ {
		d.mu.Lock()
		_, ok := d.records[seq]
		d.mu.Unlock()
		if ok {
			return seq, nil
		}
	}
}

func drainingLog(t *testing.T) (*draining, *audit.Log) {
	t.Helper()
	w := newWorld(t, 700)
	w.seal(t)
	d := &draining{memStream: w.stream, begin: 100, until: 301}
	log, err := audit.NewLog(audit.LogOptions{
		Origin: testOrigin, Stream: "JOBS", Source: d, Storage: w.store, Checkpoints: w.cps, Keys: testKeys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, log
}

// What a limit pushes out between the first look at a stream and the reading of it was not
// removed by anybody.
func TestWhatIsPushedOutMeanwhileIsNotMissed(t *testing.T) {
	d, log := drainingLog(t)
	d.remove(400)
	r, err := log.Verify(t.Context(), audit.VerifyOptions{From: 1, Pushed: d.first})
	if err != nil {
		t.Fatal(err)
	}
	if got := brief(r); !slices.Equal(got, []string{"missing 400"}) || r.Outside != 200 || r.From != 301 {
		t.Errorf("faults %v, %d outside, from %d, want the one that was removed, 200 and 301", got, r.Outside, r.From)
	}
	if _, err := log.Verify(t.Context(), audit.VerifyOptions{Pushed: func(context.Context) (uint64, error) { return 0, errors.New("away") }}); err == nil {
		t.Error("Verify that cannot ask again: no error")
	}
}

func TestAnExportBeginsBehindWhatIsPushedOutMeanwhile(t *testing.T) {
	d, log := drainingLog(t)
	dir := filepath.Join(t.TempDir(), "export")
	if err := log.Export(t.Context(), dir, audit.ExportOptions{From: 1, Pushed: d.first}); err != nil {
		t.Fatal(err)
	}
	if r := verifyFolder(t, dir); !r.OK() || r.From != 301 || r.To != 700 || r.Records != 500 || r.Outside != 200 {
		t.Errorf("report = %+v, want 301 to 700 whole, and 100 records before", r)
	}
}

func TestVerifyEndsWhenItIsToldTo(t *testing.T) {
	w := newWorld(t, 700)
	w.seal(t)
	w.cps.set(hugeCheckpoint(t, 1<<61))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tiles := 0
	_, err := w.log.Verify(ctx, audit.VerifyOptions{Progress: func(done, _ int64) {
		if done > 1000 {
			tiles++
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || tiles != 1 {
		t.Errorf("Verify = %v after %d more tiles, want context.Canceled after one", err, tiles)
	}
}
