package audit_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
)

// testSecret is a log key for tests, so that vectors do not change from run to run.
const testSecret = "PRIVATE+KEY+receiver/test+b3caf33f+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

var testOrigin = audit.Origin("test", "JOBS")

// start is the time of sequence 1; each later record comes a second later.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// memStream is a stream in memory: messages can be deleted, the last sequence stays.
type memStream struct {
	mu      sync.Mutex
	records map[uint64]audit.Record
	last    uint64
	sparse  []audit.Record // far behind all others, ascending
}

func (s *memStream) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = make(map[uint64]audit.Record)
	}
	for range n {
		s.last++
		s.records[s.last] = testRecord(s.last)
	}
}

func (s *memStream) remove(seqs ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seq := range seqs {
		delete(s.records, seq)
	}
}

func (s *memStream) change(seq uint64, edit func(*audit.Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[seq]
	r.Header = maps.Clone(r.Header)
	r.Data = slices.Clone(r.Data)
	edit(&r)
	s.records[seq] = r
}

func (s *memStream) Last(context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

func (s *memStream) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	s.mu.Lock()
	end, sparse := min(to, s.last), s.sparse
	s.mu.Unlock()
	for seq := from; seq <= end; seq++ {
		s.mu.Lock()
		r, ok := s.records[seq]
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

// platformKey signs the bodies of test records.
const platformKey = "MySecretEventSignatureKey"

func testRecord(seq uint64) audit.Record {
	data := fmt.Appendf(nil, `{"id":"%d","status":"COMPLETED"}`, seq)
	mac := hmac.New(sha256.New, []byte(platformKey))
	mac.Write(data)
	return audit.Record{
		Stream:  "JOBS",
		Seq:     seq,
		Subject: fmt.Sprintf("jobs.demo.%d.finished", seq),
		Time:    start.Add(time.Duration(seq-1) * time.Second),
		Header: map[string][]string{
			"ce-id":              {fmt.Sprintf("%d.finished", seq)},
			"receiver-signature": {"sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		},
		Data: data,
	}
}

// memStorage is a Storage in memory.
type memStorage struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (s *memStorage) Get(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

func (s *memStorage) Put(_ context.Context, name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = make(map[string][]byte)
	}
	s.files[name] = slices.Clone(data)
	return nil
}

func (s *memStorage) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, name)
	return nil
}

func (s *memStorage) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.files))
}

// memCheckpoints is a CheckpointStore that remembers everything it ever held.
type memCheckpoints struct {
	mu      sync.Mutex
	history [][]byte
	current []byte
	rev     uint64
}

func (c *memCheckpoints) Load(context.Context) ([]byte, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.rev, nil
}

func (c *memCheckpoints) Store(_ context.Context, data []byte, rev uint64) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rev != c.rev {
		return 0, audit.ErrConflict
	}
	c.rev++
	c.current = data
	c.history = append(c.history, data)
	return c.rev, nil
}

// set replaces the checkpoint behind everybody's back.
func (c *memCheckpoints) set(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rev++
	c.current = data
}

// world is one log with all that is around it.
type world struct {
	stream *memStream
	store  *memStorage
	cps    *memCheckpoints
	log    *audit.Log
}

func newWorld(t testing.TB, records int) *world {
	t.Helper()
	w := &world{stream: &memStream{}, store: &memStorage{}, cps: &memCheckpoints{}}
	w.stream.add(records)
	w.log = w.openLog(t, w.store, w.cps)
	return w
}

func (w *world) openLog(t testing.TB, store audit.Storage, cps audit.CheckpointStore) *audit.Log {
	t.Helper()
	log, err := audit.NewLog(audit.LogOptions{
		Origin: testOrigin, Stream: "JOBS", Source: lined{w.stream}, Storage: store, Checkpoints: cps, Keys: testKeys(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func (w *world) sealer(t testing.TB, known ...[]byte) *audit.Sealer {
	t.Helper()
	return newSealer(t, w.log, audit.SealerOptions{Known: known})
}

// seal seals what there is and fails the test if that does not work.
func (w *world) seal(t testing.TB) audit.Checkpoint {
	t.Helper()
	cp, err := w.sealer(t).Seal(t.Context())
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return cp
}

func newSealer(t testing.TB, l *audit.Log, o audit.SealerOptions) *audit.Sealer {
	t.Helper()
	o.Signer = testSigner(t)
	s, err := audit.NewSealer(l, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testKey(t testing.TB) audit.Key {
	t.Helper()
	key, err := audit.ParseKey(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testSigner(t testing.TB) note.Signer {
	t.Helper()
	signer, err := testKey(t).Signer(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func testKeys(t testing.TB, witnesses ...string) audit.Keys {
	t.Helper()
	keys, err := audit.ParseKeys([]string{testKey(t).VerifierKey(testOrigin)}, witnesses)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// noteKeyHash is the key ID of https://c2sp.org/signed-note; key starts with its type.
func noteKeyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + string(key)))
	return binary.BigEndian.Uint32(sum[:])
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
