package audit_test

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
)

// fakeWitness is a witness written from https://c2sp.org/tlog-witness: it knows one log.
type fakeWitness struct {
	t      testing.TB
	key    *witnessKey
	log    note.Verifier
	mu     sync.Mutex
	tree   tlog.Tree // the latest it cosigned
	asked  int
	answer http.HandlerFunc // instead of its own, when set
}

func newFakeWitness(t testing.TB) (*fakeWitness, *audit.Witness) {
	t.Helper()
	w := &fakeWitness{t: t, key: newWitnessKey("witness.example/w1"), log: testKeys(t).Log[0]}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	client, err := audit.NewWitness(server.URL+"/submit/", w.key.vkey(), server.Client())
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
	case text[0] != testOrigin:
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
	return "— " + w.key.name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

func TestWitnessCosignsAGrowingLog(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := newWorld(t, 0)
	w.log = w.openLogWith(t, testKeys(t, fake.key.vkey()))
	s := w.sealer(t)
	for _, grow := range []int{0, 3, 300, 0, 700} {
		w.stream.add(grow)
		cp, err := s.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cosigned, err := s.Cosign(t.Context(), witness)
		if err != nil {
			t.Fatalf("Cosign of %d: %v", cp.Tree.N, err)
		}
		stored, err := w.log.Checkpoint(t.Context())
		if err != nil || !bytes.Equal(stored.Note, cosigned.Note) || stored.Tree != cp.Tree {
			t.Errorf("stored %q, %v, want the cosigned checkpoint", stored.Note, err)
		}
		if len(stored.Cosignatures) != 1 || stored.Cosignatures[0].Witness != fake.key.name {
			t.Errorf("cosignatures = %v, want one", stored.Cosignatures)
		}
	}
	if fake.asked != 5 {
		t.Errorf("the witness was asked %d times, want 5", fake.asked)
	}
	if r := w.verify(t, audit.VerifyOptions{}); !r.OK() {
		t.Errorf("faults %v", r.Faults)
	}
}

func (w *world) openLogWith(t testing.TB, keys audit.Keys) *audit.Log {
	t.Helper()
	log, err := audit.NewLog(audit.LogOptions{
		Origin: testOrigin, Stream: "JOBS", Source: w.stream, Storage: w.store, Checkpoints: w.cps, Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// A client that was restarted learns from the witness where it stands.
func TestWitnessClientAfterARestart(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := newWorld(t, 10)
	cp := w.seal(t)
	if _, err := witness.Cosign(t.Context(), w.log, cp); err != nil {
		t.Fatal(err)
	}
	w.stream.add(5)
	grown := w.seal(t)
	server := httptest.NewServer(fake)
	defer server.Close()
	fresh, err := audit.NewWitness(server.URL+"/submit", fake.key.vkey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Name() != "witness.example/w1" {
		t.Errorf("Name = %q", fresh.Name())
	}
	cosigned, err := fresh.Cosign(t.Context(), w.log, grown)
	if err != nil || fake.asked != 3 {
		t.Errorf("Cosign: %v after %d questions, want none after 3", err, fake.asked)
	}
	// The log's keys do not name this witness, so nothing is said about it; the line is there.
	if len(cosigned.Cosignatures) != 0 || !strings.Contains(string(cosigned.Note), "— witness.example/w1 ") {
		t.Errorf("cosigned = %q with %v", cosigned.Note, cosigned.Cosignatures)
	}
	if _, err := witness.Cosign(t.Context(), w.log, cp); !errors.Is(err, audit.ErrWitnessAhead) {
		t.Errorf("an older checkpoint: error %v, want ErrWitnessAhead", err)
	}
	if _, err := witness.Cosign(t.Context(), w.log, grown); err != nil {
		t.Errorf("the newest again: %v", err)
	}
}

func TestWitnessRefusals(t *testing.T) {
	forger := newWorld(t, 20)
	forger.stream.change(3, func(r *audit.Record) { r.Data = nil })
	fixed := func(status int, body string) func(*fakeWitness) {
		return func(w *fakeWitness) {
			w.answer = func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(status)
				_, _ = io.WriteString(rw, body)
			}
		}
	}
	stranger := newWitnessKey("witness.example/w1")
	stranger.key[0] ^= 1
	rows := []struct {
		name   string
		change func(w *fakeWitness)
		want   error
	}{
		{"it saw another history", func(w *fakeWitness) { w.tree = wantTree(t, forger.stream, 1, 10) }, audit.ErrWitnessRefused},
		{"it saw another history of this size", func(w *fakeWitness) { w.tree = wantTree(t, forger.stream, 1, 20) }, audit.ErrWitnessRefused},
		{"it saw more", func(w *fakeWitness) { w.tree.N = 21 }, audit.ErrWitnessAhead},
		{"it does not know the log", fixed(404, ""), audit.ErrWitnessRefused},
		{"it does not know the key", fixed(403, ""), audit.ErrWitnessRefused},
		{"it is broken", fixed(500, "<html>"), audit.ErrWitness},
		{"it moves on and on", fixed(409, "7\n"), audit.ErrWitness},
		{"no size", fixed(409, "many\n"), audit.ErrWitness},
		{"a size without an end", fixed(409, "7"), audit.ErrWitness},
		{"a negative size", fixed(409, "-7\n"), audit.ErrWitness},
		{"an empty answer", fixed(200, ""), audit.ErrWitness},
		{"no signature lines", fixed(200, "thank you\n"), audit.ErrWitness},
		{"too long an answer", fixed(200, strings.Repeat("x", 1<<20)), audit.ErrWitness},
		{"a line of another key", func(w *fakeWitness) {
			other := &fakeWitness{key: newWitnessKey("witness.example/w2")}
			fixed(200, other.line("x\n"))(w)
		}, audit.ErrWitness},
		{"a cosignature on something else", func(w *fakeWitness) { fixed(200, w.line("x\n"))(w) }, audit.ErrWitness},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			fake, witness := newFakeWitness(t)
			row.change(fake)
			w := newWorld(t, 20)
			s := w.sealer(t)
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Cosign(t.Context(), witness); !errors.Is(err, row.want) {
				t.Errorf("Cosign: error %v, want %v", err, row.want)
			}
			if len(w.cps.history) != 1 {
				t.Errorf("%d checkpoints stored, want 1", len(w.cps.history))
			}
		})
	}
}

// While the witness thinks, the log moves on: the cosigned checkpoint is returned, and the
// newer one stays.
func TestCosignWhileTheLogMovesOn(t *testing.T) {
	fake, witness := newFakeWitness(t)
	w := newWorld(t, 20)
	s := w.sealer(t)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake.answer = func(rw http.ResponseWriter, r *http.Request) {
		w.stream.add(1)
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
	if cp, err := w.log.Checkpoint(t.Context()); err != nil || cp.Tree.N != 21 {
		t.Errorf("stored %d leaves, %v, want 21", cp.Tree.N, err)
	}
	if _, err := w.log.ProveAt(t.Context(), cosigned, 20); err != nil {
		t.Errorf("ProveAt the cosigned checkpoint: %v", err)
	}
}

// Two witnesses at once both end up on the stored checkpoint.
func TestTwoWitnessesAtOnce(t *testing.T) {
	w := newWorld(t, 20)
	var keys []string
	var witnesses []*audit.Witness
	for _, name := range []string{"witness.example/w1", "witness.example/w2"} {
		fake := &fakeWitness{t: t, key: newWitnessKey(name), log: testKeys(t).Log[0]}
		server := httptest.NewServer(fake)
		defer server.Close()
		witness, err := audit.NewWitness(server.URL+"/submit", fake.key.vkey(), nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, witnesses = append(keys, fake.key.vkey()), append(witnesses, witness)
	}
	w.log = w.openLogWith(t, testKeys(t, keys...))
	s := w.sealer(t)
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
	cp, err := w.log.Checkpoint(t.Context())
	if err != nil || len(cp.Cosignatures) != 2 {
		t.Errorf("cosignatures = %v, %v, want two", cp.Cosignatures, err)
	}
	w.stream.add(1)
	if _, err := s.Seal(t.Context()); err != nil {
		t.Errorf("sealing on a cosigned checkpoint: %v", err)
	}
}

func TestCosignNeedsASoundLog(t *testing.T) {
	_, witness := newFakeWitness(t)
	w := newWorld(t, 20)
	s := w.sealer(t)
	if _, err := s.Cosign(t.Context(), witness); !errors.Is(err, audit.ErrNoCheckpoint) {
		t.Errorf("before the first sealing: error %v, want ErrNoCheckpoint", err)
	}
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	was := w.cps.current
	w.cps.set(nil)
	fork := new(audit.ForkError)
	if _, err := s.Seal(t.Context()); !errors.As(err, &fork) {
		t.Fatal(err)
	}
	w.cps.set(was)
	if _, err := s.Cosign(t.Context(), witness); !errors.As(err, &fork) {
		t.Errorf("after a fork: error %v, want the refusal", err)
	}
}
