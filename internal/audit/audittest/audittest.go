// Package audittest is one log in memory with what is around it, for tests of audit and the
// packages below it.
package audittest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/logkey"
)

// Secret is a log key for tests, so that vectors do not change from run to run.
const Secret = "PRIVATE+KEY+receiver/test+b3caf33f+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

// Origin is the origin of the log.
var Origin = audit.Origin("receiver", "test", "JOBS")

// Start is the time of sequence 1; each later record comes a second later.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// Stream is a stream in memory: messages can be deleted, the last sequence stays.
type Stream struct {
	mu     sync.Mutex
	Held   map[uint64]audit.Record
	Newest uint64
	Sparse []audit.Record // far behind all others, ascending
}

// Add stores so many records.
func (s *Stream) Add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Held == nil {
		s.Held = make(map[uint64]audit.Record)
	}
	for range n {
		s.Newest++
		s.Held[s.Newest] = Record(s.Newest)
	}
}

// Remove deletes records.
func (s *Stream) Remove(seqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		delete(s.Held, seq)
	}
}

// Change edits a stored record.
func (s *Stream) Change(seq uint64, edit func(*audit.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.Held[seq]
	r.Header = maps.Clone(r.Header)
	r.Data = slices.Clone(r.Data)
	edit(&r)
	s.Held[seq] = r
}

// Last implements audit.Source.
func (s *Stream) Last(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Newest, nil
}

// Records implements audit.Source.
func (s *Stream) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	s.mu.Lock()
	end, sparse := min(to, s.Newest), s.Sparse
	s.mu.Unlock()
	for seq := from; seq <= end; seq++ {
		s.mu.Lock()
		r, ok := s.Held[seq]
		s.mu.Unlock()
		if !ok {
			continue
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	for _, r := range sparse {
		if err := yield(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// PlatformKey signs the bodies of test records.
const PlatformKey = "MySecretEventSignatureKey"

// Record is the record with this sequence: a signed callback.
func Record(seq uint64) audit.Record {
	data := fmt.Appendf(nil, `{"id":"%d","status":"COMPLETED"}`, seq)
	mac := hmac.New(sha256.New, []byte(PlatformKey))
	mac.Write(data)
	return audit.Record{
		Stream:  "JOBS",
		Seq:     seq,
		Subject: fmt.Sprintf("jobs.demo.%d.finished", seq),
		Time:    Start.Add(time.Duration(seq-1) * time.Second),
		Header: map[string][]string{
			"ce-id":              {fmt.Sprintf("%d.finished", seq)},
			"receiver-signature": {"sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		},
		Data: data,
	}
}

// Storage is a Storage in memory.
type Storage struct {
	mu    sync.Mutex
	Files map[string][]byte
}

// Get implements audit.Storage.
func (s *Storage) Get(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.Files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

// Put implements audit.Storage.
func (s *Storage) Put(_ context.Context, name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Files == nil {
		s.Files = make(map[string][]byte)
	}
	s.Files[name] = slices.Clone(data)
	return nil
}

// Delete implements audit.Storage.
func (s *Storage) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.Files, name)
	return nil
}

// List implements audit.Lister.
func (s *Storage) List(_ context.Context, yield func(name string, size int64)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, data := range s.Files {
		yield(name, int64(len(data)))
	}
	return nil
}

// Names returns the names of all files.
func (s *Storage) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.Files))
}

// Checkpoints is a CheckpointStore that remembers everything it ever held.
type Checkpoints struct {
	mu      sync.Mutex
	History [][]byte
	Current []byte
	rev     uint64
}

// Load implements audit.CheckpointStore.
func (c *Checkpoints) Load(context.Context) ([]byte, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Current, c.rev, nil
}

// Store implements audit.CheckpointStore.
func (c *Checkpoints) Store(_ context.Context, data []byte, rev uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rev != c.rev {
		return 0, audit.ErrConflict
	}
	c.rev++
	c.Current = data
	c.History = append(c.History, data)
	return c.rev, nil
}

// Set replaces the checkpoint behind everybody's back.
func (c *Checkpoints) Set(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rev++
	c.Current = data
}

// World is one log with all that is around it.
type World struct {
	Stream      *Stream
	Store       *Storage
	Checkpoints *Checkpoints
	Log         *audit.Log
}

// NewWorld returns a log over so many records, not sealed.
func NewWorld(t testing.TB, records int) *World {
	t.Helper()
	w := &World{Stream: &Stream{}, Store: &Storage{}, Checkpoints: &Checkpoints{}}
	w.Stream.Add(records)
	w.Log = w.OpenLog(t, w.Store, w.Checkpoints)
	return w
}

// OpenLog opens the log with other stores.
func (w *World) OpenLog(t testing.TB, store audit.Storage, cps audit.CheckpointStore) *audit.Log {
	t.Helper()
	log, err := audit.NewLog(audit.LogOptions{
		Origin: Origin, Stream: "JOBS", Source: Lined{w.Stream}, Storage: store, Checkpoints: cps, Keys: Keys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// Sealer returns a sealer that knows these checkpoints.
func (w *World) Sealer(t testing.TB, known ...[]byte) *audit.Sealer {
	t.Helper()
	return NewSealer(t, w.Log, audit.SealerOptions{Known: known})
}

// Seal seals what there is and fails the test if that does not work.
func (w *World) Seal(t testing.TB) audit.Checkpoint {
	t.Helper()
	cp, err := w.Sealer(t).Seal(t.Context())
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return cp
}

// NewSealer returns a sealer with the test key.
func NewSealer(t testing.TB, l *audit.Log, o audit.SealerOptions) *audit.Sealer {
	t.Helper()
	o.Signer = Signer(t)
	s, err := audit.NewSealer(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Key is the key of the log.
func Key(t testing.TB) logkey.Key {
	t.Helper()
	key, err := logkey.Parse(Secret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Signer signs for the log.
func Signer(t testing.TB) note.Signer {
	t.Helper()
	signer, err := Key(t).Signer(Origin)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Keys are the log's public key and those of witnesses.
func Keys(t testing.TB, witnesses ...string) audit.Keys {
	t.Helper()
	keys, err := audit.ParseKeys([]string{Key(t).VerifierKey(Origin)}, witnesses)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// KeyHash is the key ID of https://c2sp.org/signed-note; key starts with its type.
func KeyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + string(key)))
	return binary.BigEndian.Uint32(sum[:])
}
