package audittest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
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
)

// WitnessKey is a cosigner as C2SP tlog-cosignature has them, written from that page.
type WitnessKey struct {
	name       string
	PrivateKey ed25519.PrivateKey
	Now        uint64
}

// NewWitnessKey returns the key of a witness; every name has the same secret.
func NewWitnessKey(name string) *WitnessKey {
	return &WitnessKey{name: name, Now: 1679315147, PrivateKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))}
}

// VerifierKey is the public key as C2SP vkey text.
func (w *WitnessKey) VerifierKey() string {
	pub := append([]byte{4}, w.PrivateKey.Public().(ed25519.PublicKey)...)
	return fmt.Sprintf("%s+%08x+%s", w.name, w.KeyHash(), base64.StdEncoding.EncodeToString(pub))
}

// Name implements note.Signer.
func (w *WitnessKey) Name() string { return w.name }

// KeyHash implements note.Signer.
func (w *WitnessKey) KeyHash() uint32 {
	return KeyHash(w.name, append([]byte{4}, w.PrivateKey.Public().(ed25519.PublicKey)...))
}

// Sign implements note.Signer.
func (w *WitnessKey) Sign(text []byte) ([]byte, error) {
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", w.Now, text)
	return append(binary.BigEndian.AppendUint64(nil, w.Now), ed25519.Sign(w.PrivateKey, []byte(message))...), nil
}

// Witness is a witness of any number of logs, written from https://c2sp.org/tlog-witness.
type Witness struct {
	Key  *WitnessKey
	Logs []note.Verifier // that it knows; nil means that it believes every signature

	mu     sync.Mutex
	Trees  map[string]tlog.Tree // the latest that it cosigned, by origin
	Asked  int
	Answer http.HandlerFunc // instead of its own, when set
}

// NewWitness returns a witness that knows the logs with these keys.
func NewWitness(name string, logs ...note.Verifier) *Witness {
	return &Witness{Key: NewWitnessKey(name), Logs: logs, Trees: map[string]tlog.Tree{}}
}

// Serve answers at an address of its own until the test ends.
func (w *Witness) Serve(t testing.TB) (url string) {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return server.URL + "/submit"
}

// With calls f while no request is answered.
func (w *Witness) With(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// ServeHTTP answers add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Asked++
	if w.Answer != nil {
		w.Answer(rw, r)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/submit/add-checkpoint" {
		http.NotFound(rw, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.Add(rw, string(body))
}

// Add answers one request by its rules; for an Answer.
func (w *Witness) Add(rw http.ResponseWriter, body string) {
	status, answer := w.addCheckpoint(body)
	if status == http.StatusConflict {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
	}
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, answer)
}

func (w *Witness) addCheckpoint(body string) (int, string) {
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
	text, _, _ := strings.Cut(signed, "\n\n")
	text += "\n"
	if w.Logs != nil {
		if _, err := note.Open([]byte(signed), note.VerifierList(w.Logs...)); err != nil {
			return http.StatusForbidden, ""
		}
	}
	said := strings.Split(text, "\n")
	if len(said) != 4 {
		return http.StatusBadRequest, ""
	}
	size, _ := strconv.ParseInt(said[1], 10, 64)
	root, _ := tlog.ParseHash(said[2])
	has := w.Trees[said[0]]
	switch {
	case old > size:
		return http.StatusBadRequest, ""
	case old != has.N, old == size && old > 0 && root != has.Hash:
		return http.StatusConflict, fmt.Sprintf("%d\n", has.N)
	case old == 0 && len(proof) > 0, old > 0 && old < size && tlog.CheckTree(proof, size, root, old, has.Hash) != nil:
		return http.StatusUnprocessableEntity, ""
	}
	w.Trees[said[0]] = tlog.Tree{N: size, Hash: root}
	return http.StatusOK, w.Line(text)
}

// Line is a signature line on a text.
func (w *Witness) Line(text string) string {
	sig, _ := w.Key.Sign([]byte(text))
	raw := append(binary.BigEndian.AppendUint32(nil, w.Key.KeyHash()), sig...)
	return "— " + w.Key.Name() + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}
