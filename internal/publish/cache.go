package publish

import (
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"receiver/internal/job"
)

// cache holds the last events that exist once for a job, so that their repeats need no request. An
// event that was stored stays stored, so a cached one is right whatever other replicas do; for any
// other event the stream is asked.
//
// The platform repeats callbacks soon, the first three times within ten minutes (OC: section 6.4).
// An event that expires or is removed stays in the cache until Guard checks the stream, less than a
// second later.
type cache struct {
	mu    sync.Mutex
	known map[string]int // index in ring, by subject
	ring  []cachedEvent
	next  int    // index to be used next, once the ring is full
	first uint64 // sequences below it are no longer in the stream
}

// begin sets the first sequence of the stream.
func (m *cache) begin(first uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.first = first
}

// forget empties the cache.
func (m *cache) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.ring, m.next = nil, nil, 0
}

// cachedEvent holds what distinguishes an event and its outcome from others.
type cachedEvent struct {
	subject, source, id, status string
	kind                        job.Kind
	result                      job.Result
	evidence                    job.Evidence
	sequence                    uint64
	at                          time.Time
	digest                      [2 * sha256.Size]byte // of its data, in hexadecimal; zero if not known
}

// maxRemembered bounds the cache: about 400 bytes for each event.
const (
	maxRemembered = 4096
	rememberedFor = 10 * time.Minute
)

// add caches an event under its subject. Texts are copied, since they are parts of the body.
func (m *cache) add(subject string, e job.Stored, digest []byte) {
	r := cachedEvent{
		subject, e.Source, strings.Clone(e.Job.ID), strings.Clone(e.Job.Status), e.Kind, e.Job.Result, e.Evidence, e.Sequence, time.Now(), [2 * sha256.Size]byte{},
	}
	copy(r.digest[:], digest)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[string]int, maxRemembered)
	}
	index, there := m.known[subject]
	switch {
	case there:
	case len(m.ring) < maxRemembered:
		index = len(m.ring)
		m.ring = append(m.ring, cachedEvent{})
	default:
		index = m.next
		m.next = (m.next + 1) % maxRemembered
		delete(m.known, m.ring[index].subject)
	}
	if !there {
		m.known[subject] = index
	}
	m.ring[index] = r
}

// get returns the event on a subject, if it is cached.
func (m *cache) get(subject string) (job.Stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	index, there := m.known[subject]
	if !there || m.ring[index].sequence < m.first || time.Since(m.ring[index].at) >= rememberedFor {
		return job.Stored{}, false
	}
	r := &m.ring[index]
	e := job.Event{Kind: r.kind, Source: r.source, Job: job.View{ID: r.id, Status: r.status, Result: r.result}, Evidence: r.evidence}
	if r.digest[0] != 0 {
		e = e.Without(string(r.digest[:]))
	}
	return job.Stored{Event: e, Sequence: r.sequence, Existed: true}, true
}
