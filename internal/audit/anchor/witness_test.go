package anchor_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
)

// fakeWitness is a witness written from https://c2sp.org/tlog-witness: it knows one log.
type fakeWitness struct {
	t      testing.TB
	key    *audittest.WitnessKey
	log    note.Verifier
	mu     sync.Mutex
	tree   tlog.Tree // the latest it cosigned
	asked  int
	answer http.HandlerFunc // instead of its own, when set
}

func newFakeWitness(t testing.TB) (*fakeWitness, *anchor.Witness) {
	t.Helper()
	w := &fakeWitness{t: t, key: audittest.NewWitnessKey("witness.example/w1"), log: audittest.Keys(t).Log[0]}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	client, err := anchor.NewWitness(server.URL+"/submit/", w.key.VerifierKey(), server.Client())
	if err != nil {
		t.Fatal(err)
	}
	return w, client
}

func (w *fakeWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.answer != nil {
		w.answer(rw, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/submit/add-checkpoint" {
		http.NotFound(rw, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	status, answer := w.addCheckpoint(string(body))
	if status == http.StatusConflict {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
	}
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, answer)
}

func (w *fakeWitness) addCheckpoint(body string) (int, string) {
	head, signed, _ := strings.Cut(body, "\n\n")
	lines := strings.Split(head, "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if err != nil || len(lines) > 64 {
		return http.StatusBadRequest, ""
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return http.StatusBadRequest, ""
		}
		proof = append(proof, h)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(w.log))
	if err != nil {
		return http.StatusForbidden, ""
	}
	text := strings.Split(n.Text, "\n")
	size, _ := strconv.ParseInt(text[1], 10, 64)
	root, _ := tlog.ParseHash(text[2])
	switch {
	case text[0] != audittest.Origin:
		return http.StatusNotFound, ""
	case old > size:
		return http.StatusBadRequest, ""
	case old != w.tree.N:
		return http.StatusConflict, fmt.Sprintf("%d\n", w.tree.N)
	case old == 0 && len(proof) > 0, old == size && old > 0 && root != w.tree.Hash:
		return http.StatusUnprocessableEntity, ""
	case old > 0 && old < size && tlog.CheckTree(proof, size, root, old, w.tree.Hash) != nil:
		return http.StatusUnprocessableEntity, ""
	}
	w.tree = tlog.Tree{N: size, Hash: root}
	return http.StatusOK, w.line(n.Text)
}

// line is a signature line on a text.
func (w *fakeWitness) line(text string) string {
	sig, _ := w.key.Sign([]byte(text))
	hash := w.key.KeyHash()
	raw := append([]byte{byte(hash >> 24), byte(hash >> 16), byte(hash >> 8), byte(hash)}, sig...)
	return "— " + w.key.Name() + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func TestWitnessCosignsAGrowingLog(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := audittest.NewWorld(t, 0)
	w.Log = w.OpenLogWith(t, audittest.Keys(t, fake.key.VerifierKey()))
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
		if len(stored.Cosignatures) != 1 || stored.Cosignatures[0].Witness != fake.key.Name() {
			t.Errorf("cosignatures = %v, want one", stored.Cosignatures)
		}
	}
	if fake.asked != 5 {
		t.Errorf("the witness was asked %d times, want 5", fake.asked)
	}
	if r := w.Verify(t, audit.VerifyOptions{}); !r.OK() {
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
	server := httptest.NewServer(fake)
	defer server.Close()
	fresh, err := anchor.NewWitness(server.URL+"/submit", fake.key.VerifierKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Key().Name() != "witness.example/w1" {
		t.Errorf("Key().Name() = %q", fresh.Key().Name())
	}
	cosigned, err := s.Cosign(t.Context(), fresh)
	if err != nil || fake.asked != 3 {
		t.Errorf("Cosign: %v after %d questions, want none after 3", err, fake.asked)
	}
	// The log's keys do not name this witness, so nothing is said about it; the line is there.
	if len(cosigned.Cosignatures) != 0 || !strings.Contains(string(cosigned.Note), "— witness.example/w1 ") {
		t.Errorf("cosigned = %q with %v", cosigned.Note, cosigned.Cosignatures)
	}
	if _, err := witness.Ask(t.Context(), cp, func(int64) (tlog.TreeProof, error) { return nil, nil }); !errors.Is(err, anchor.ErrAhead) {
		t.Errorf("an older checkpoint: error %v, want ErrAhead", err)
	}
	if _, err := s.Cosign(t.Context(), witness); err != nil {
		t.Errorf("the newest again: %v", err)
	}
}

func TestWitnessRefusals(t *testing.T) {
	forger := audittest.NewWorld(t, 20)
	forger.Stream.Change(3, func(r *audit.Record) { r.Data = nil })
	fixed := func(status int, body string) func(*fakeWitness) {
		return func(w *fakeWitness) {
			w.answer = func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, body)
			}
		}
	}
	stranger := audittest.NewWitnessKey("witness.example/w1")
	stranger.PrivateKey[0] ^= 1
	rows := []struct {
		name   string
		change func(w *fakeWitness)
		want   error
	}{
		{"it saw another history", func(w *fakeWitness) { w.tree = audittest.WantTree(t, forger.Stream, 1, 10) }, anchor.ErrRefused},
		{"it saw another history of this size", func(w *fakeWitness) { w.tree = audittest.WantTree(t, forger.Stream, 1, 20) }, anchor.ErrRefused},
		{"it saw more", func(w *fakeWitness) { w.tree.N = 21 }, anchor.ErrAhead},
		{"it does not know the log", fixed(404, ""), anchor.ErrRefused},
		{"it does not know the key", fixed(403, ""), anchor.ErrRefused},
		{"it is broken", fixed(500, "<html>"), audit.ErrWitness},
		{"it moves on and on", fixed(409, "7\n"), audit.ErrWitness},
		{"no size", fixed(409, "many\n"), audit.ErrWitness},
		{"a size without an end", fixed(409, "7"), audit.ErrWitness},
		{"a negative size", fixed(409, "-7\n"), audit.ErrWitness},
		{"an empty answer", fixed(200, ""), audit.ErrWitness},
		{"no signature lines", fixed(200, "thank you\n"), audit.ErrWitness},
		{"too long an answer", fixed(200, strings.Repeat("x", 1<<20)), audit.ErrWitness},
		{"a line of another key", func(w *fakeWitness) {
			other := &fakeWitness{key: audittest.NewWitnessKey("witness.example/w2")}
			fixed(200, other.line("x\n"))(w)
		}, audit.ErrWitness},
		{"a cosignature on something else", func(w *fakeWitness) { fixed(200, w.line("x\n"))(w) }, audit.ErrWitness},
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
			if _, err := s.Cosign(t.Context(), witness); !errors.Is(err, row.want) {
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
	fake.answer = func(rw http.ResponseWriter, r *http.Request) {
		w.Stream.Add(1)
		if _, err := s.Seal(t.Context()); err != nil {
			t.Error(err)
		}
		fake.answer = nil
		body, _ := io.ReadAll(r.Body)
		status, answer := fake.addCheckpoint(string(body))
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, answer)
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

// Two witnesses at once both end up on the stored checkpoint.
func TestTwoWitnessesAtOnce(t *testing.T) {
	w := audittest.NewWorld(t, 20)
	var keys []string
	var witnesses []*anchor.Witness
	for _, name := range []string{"witness.example/w1", "witness.example/w2"} {
		fake := &fakeWitness{t: t, key: audittest.NewWitnessKey(name), log: audittest.Keys(t).Log[0]}
		server := httptest.NewServer(fake)
		defer server.Close()
		witness, err := anchor.NewWitness(server.URL+"/submit", fake.key.VerifierKey(), nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, witnesses = append(keys, fake.key.VerifierKey()), append(witnesses, witness)
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
	if _, err := s.Cosign(t.Context(), witness); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("before the first sealing: error %v, want ErrNoCheckpoint", err)
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
