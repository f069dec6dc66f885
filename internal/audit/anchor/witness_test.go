package anchor_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

func newFakeWitness(t testing.TB) (*audittest.Witness, *anchor.Witness) {
	t.Helper()
	w := audittest.NewWitness("witness.example/w1", audittest.Keys(t).Log...)
	client, err := anchor.NewWitness(w.Serve(t)+"/", w.Key.VerifierKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w, client
}

func TestWitnessCosignsAGrowingLog(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 0)
	w.Log = w.OpenLogWith(t, audittest.Keys(t, fake.Key.VerifierKey()))
	s := w.Sealer(t)
	for _, grow := range []int{0, 3, 300, 0, 700} {
		w.Stream.Add(grow)
		cp, err := s.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cosigned, err := s.Cosign(t.Context(), witness)
		if err != nil {
			t.Fatalf("Cosign of %d: %v", cp.Tree.N, err)
		}
		stored, err := w.Log.Checkpoint(t.Context())
		if err != nil || !bytes.Equal(stored.Note, cosigned.Note) || stored.Tree != cp.Tree {
			t.Errorf("stored %q, %v, want the cosigned checkpoint", stored.Note, err)
		}
		if len(stored.Cosignatures) != 1 || stored.Cosignatures[0].Witness != fake.Key.Name() {
			t.Errorf("cosignatures = %v, want one", stored.Cosignatures)
		}
	}
	if fake.Asked != 5 {
		t.Errorf("the witness was asked %d times, want 5", fake.Asked)
	}
	if r := w.Verify(t, verification.Options{}); !r.OK() {
		t.Errorf("faults %v", r.Faults)
	}
}

// A client that was restarted learns the last size from the witness.
func TestWitnessClientAfterARestart(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 10)
	cp := w.Seal(t)
	s := w.Sealer(t)
	if _, err := s.Cosign(t.Context(), witness); err != nil {
		t.Fatal(err)
	}
	w.Stream.Add(5)
	w.Seal(t)
	fresh, err := anchor.NewWitness(fake.Serve(t), fake.Key.VerifierKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Key().Name() != "witness.example/w1" {
		t.Errorf("Key().Name() = %q", fresh.Key().Name())
	}
	cosigned, err := s.Cosign(t.Context(), fresh)
	if err != nil || fake.Asked != 3 {
		t.Errorf("Cosign: %v after %d questions, want none after 3", err, fake.Asked)
	}
	// The log's keys do not name this witness, so nothing is said about it; the line is there.
	if len(cosigned.Cosignatures) != 0 || !strings.Contains(string(cosigned.Note), "— witness.example/w1 ") {
		t.Errorf("cosigned = %q with %v", cosigned.Note, cosigned.Cosignatures)
	}
	var has *audit.WitnessedError
	if _, err := witness.Ask(t.Context(), cp, func(int64) (tlog.TreeProof, error) { return nil, nil }); !errors.As(err, &has) || has.Size != 15 {
		t.Errorf("an older checkpoint: error %v, want that the witness has 15", err)
	}
	if _, err := s.Cosign(t.Context(), witness); err != nil {
		t.Errorf("the newest again: %v", err)
	}
}

func TestWitnessRefusals(t *testing.T) {
	forger := audittest.NewWorld(t, 20)
	forger.Stream.Change(3, func(r *audit.Record) { r.Data = nil })
	fixed := func(status int, body string) func(*audittest.Witness) {
		return func(w *audittest.Witness) {
			w.Answer = func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, body)
			}
		}
	}
	has := func(tree tlog.Tree) func(*audittest.Witness) {
		return func(w *audittest.Witness) { w.Trees[audittest.Origin] = tree }
	}
	var fork error // nil: it is one, by the word of the witness
	rows := []struct {
		name   string
		change func(w *audittest.Witness)
		want   error
	}{
		{"it saw another history", has(audittest.WantTree(t, forger.Stream, 1, 10)), fork},
		{"it saw another history of this size", has(audittest.WantTree(t, forger.Stream, 1, 20)), fork},
		{"it saw more", has(tlog.Tree{N: 21}), fork},
		{"it has another tree of this size", fixed(409, "20\n"), fork},
		{"it has less than it cosigned", has(audittest.WantTree(t, forger.Stream, 1, 2)), anchor.ErrForgotten},
		{"it does not know the log", fixed(404, ""), anchor.ErrRefused},
		{"it does not know the key", fixed(403, ""), anchor.ErrRefused},
		{"it is broken", fixed(500, "<html>"), audit.ErrWitness},
		{"it refuses the proof for the empty tree", fixed(422, ""), audit.ErrWitness},
		{"it moves on and on", fixed(409, "7\n"), audit.ErrWitness},
		{"no size", fixed(409, "many\n"), audit.ErrWitness},
		{"a size without an end", fixed(409, "7"), audit.ErrWitness},
		{"a negative size", fixed(409, "-7\n"), audit.ErrWitness},
		{"an empty answer", fixed(200, ""), audit.ErrWitness},
		{"no signature lines", fixed(200, "thank you\n"), audit.ErrWitness},
		{"too long an answer", fixed(200, strings.Repeat("x", 1<<20)), audit.ErrWitness},
		{"a line of another key", func(w *audittest.Witness) {
			fixed(200, audittest.NewWitness("witness.example/w2").Line("x\n"))(w)
		}, audit.ErrWitness},
		{"a cosignature on something else", func(w *audittest.Witness) { fixed(200, w.Line("x\n"))(w) }, audit.ErrWitness},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			fake, witness := newFakeWitness(t)
			row.change(fake)
			w := audittest.NewWorld(t, 20)
			s := w.Sealer(t)
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			if errors.Is(row.want, anchor.ErrForgotten) {
				witness.Cosigned(audittest.Origin, 3)
			}
			_, err := s.Cosign(t.Context(), witness)
			if said := new(audit.ForkError); row.want == nil {
				if !errors.As(err, &said) || said.Witness != "witness.example/w1" || !strings.Contains(err.Error(), "witness witness.example/w1 has cosigned") {
					t.Errorf("Cosign: error %v, want a fork by the word of the witness", err)
				}
				w.Stream.Add(1)
				if _, again := s.Seal(t.Context()); !errors.Is(again, err) {
					t.Errorf("Seal after that: error %v, want the same", again)
				}
			} else if !errors.Is(err, row.want) || errors.As(err, &said) {
				t.Errorf("Cosign: error %v, want %v", err, row.want)
			}
			if len(w.Checkpoints.History) != 1 {
				t.Errorf("%d checkpoints stored, want 1", len(w.Checkpoints.History))
			}
		})
	}
}

// While the witness thinks, the log moves on: the cosigned checkpoint is returned, and the
// newer one stays.
func TestCosignWhileTheLogMovesOn(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 20)
	s := w.Sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake.Answer = func(rw http.ResponseWriter, r *http.Request) {
		w.Stream.Add(1)
		if _, err := s.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		fake.Answer = nil
		body, _ := io.ReadAll(r.Body)
		fake.Add(rw, string(body))
	}
	cosigned, err := s.Cosign(t.Context(), witness)
	if err != nil || cosigned.Tree.N != 20 {
		t.Errorf("Cosign = %d leaves, %v, want 20", cosigned.Tree.N, err)
	}
	if cp, err := w.Log.Checkpoint(t.Context()); err != nil || cp.Tree.N != 21 {
		t.Errorf("stored %d leaves, %v, want 21", cp.Tree.N, err)
	}
	if _, err := w.Log.ProveAt(t.Context(), cosigned, 20); err != nil {
		t.Errorf("ProveAt the cosigned checkpoint: %v", err)
	}
}

// A log that was emptied has nothing that a witness could be asked for, and is not begun anew.
func TestAnEmptiedLogIsAForkByTheWitness(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 20)
	fake.Trees[audittest.Origin] = tlog.Tree{N: 5}
	s := w.Sealer(t)
	fork := new(audit.ForkError)
	if _, err := s.Cosign(t.Context(), witness); !errors.As(err, &fork) || fork.Known.Tree.N != 5 {
		t.Errorf("Cosign: error %v, want a fork of 5 leaves", err)
	}
	if _, err := s.Seal(t.Context()); !errors.As(err, &fork) || len(w.Checkpoints.History) > 0 {
		t.Errorf("Seal after that: error %v with %d checkpoints, want the fork and none", err, len(w.Checkpoints.History))
	}
}

// A larger tree at the witness is no fork if another replica has stored it meanwhile.
func TestAnotherReplicaHasTheWitnessCosignMore(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 20)
	s, other := w.Sealer(t), w.Sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake.Answer = func(rw http.ResponseWriter, r *http.Request) {
		w.Stream.Add(5)
		if _, err := other.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		fake.Answer, fake.Trees[audittest.Origin] = nil, audittest.WantTree(t, w.Stream, 1, 25)
		body, _ := io.ReadAll(r.Body)
		fake.Add(rw, string(body))
	}
	if cosigned, err := s.Cosign(t.Context(), witness); err != nil || cosigned.Tree.N != 25 {
		t.Errorf("Cosign = %d leaves, %v, want the 25 of the other", cosigned.Tree.N, err)
	}
	if _, err := s.Seal(t.Context()); err != nil {
		t.Errorf("Seal after that: %v", err)
	}
}

// Two witnesses at once both end up on the stored checkpoint.
func TestTwoWitnessesAtOnce(t *testing.T) {
	w := audittest.NewWorld(t, 20)
	var keys []string
	var witnesses []*anchor.Witness
	for _, name := range []string{"witness.example/w1", "witness.example/w2"} {
		fake := audittest.NewWitness(name, audittest.Keys(t).Log...)
		witness, err := anchor.NewWitness(fake.Serve(t), fake.Key.VerifierKey(), nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, witnesses = append(keys, fake.Key.VerifierKey()), append(witnesses, witness)
	}
	w.Log = w.OpenLogWith(t, audittest.Keys(t, keys...))
	s := w.Sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, witness := range witnesses {
		wg.Go(func() {
			if _, err := s.Cosign(t.Context(), witness); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	cp, err := w.Log.Checkpoint(t.Context())
	if err != nil || len(cp.Cosignatures) != 2 {
		t.Errorf("cosignatures = %v, %v, want two", cp.Cosignatures, err)
	}
	w.Stream.Add(1)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Errorf("sealing on a cosigned checkpoint: %v", err)
	}
}

func TestCosignNeedsASoundLog(t *testing.T) {
	_, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 20)
	s := w.Sealer(t)
	if cp, err := s.Cosign(t.Context(), witness); err != nil || cp.Tree.N != 0 || len(w.Checkpoints.History) != 0 {
		t.Errorf("before the first sealing: %d leaves, %v, with %d checkpoints stored; want the empty tree and none", cp.Tree.N, err, len(w.Checkpoints.History))
	}
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	was := w.Checkpoints.Current
	w.Checkpoints.Set(nil)
	fork := new(audit.ForkError)
	if _, err := s.Seal(t.Context()); !errors.As(err, &fork) {
		t.Fatal(err)
	}
	w.Checkpoints.Set(was)
	if _, err := s.Cosign(t.Context(), witness); !errors.As(err, &fork) {
		t.Errorf("after a fork: error %v, want the refusal", err)
	}
}
