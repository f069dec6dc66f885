package publish

import (
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"receiver/internal/job"
)

// memory remembers the last events that exist once for a job, so that their repeats cost
// no question. An event that was there is there, so what is remembered is right whatever
// other replicas do; what is not remembered is asked of the stream.
//
// A repeat of the platform comes soon, the first three within ten minutes (OC: section
// 6.4). An event that goes by age or is removed is remembered until the stream is looked at
// (Guard), less than a second later.
type memory struct {
	mu    sync.Mutex
	known map[string]int // places in ring, by subject
	ring  []remembered
	next  int    // place to be taken, once the ring is full
	first uint64 // what is below it has gone from the stream
}

// begin says what the first message of the stream is.
func (m *memory) begin(first uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.first = first
}

// forget drops all of it.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.ring, m.next = nil, nil, 0
}

// remembered is what tells an event and its outcome apart from others.
type remembered struct {
	subject, source, id, status string
	kind                        job.Kind
	result                      job.Result
	evidence                    job.Evidence
	sequence                    uint64
	at                          time.Time
	digest                      [2 * sha256.Size]byte // of its data, in hexadecimal; zero if not known
}

// mostRemembered bounds the memory: about 400 bytes for each event.
const (
	mostRemembered = 4096
	rememberedFor  = 10 * time.Minute
)

// put remembers an event under its subject. Texts are copied: they are parts of the body.
func (m *memory) put(subject string, e job.Stored, digest []byte) {
	r := remembered{
		subject, e.Source, strings.Clone(e.Job.ID), strings.Clone(e.Job.Status), e.Kind, e.Job.Result, e.Evidence, e.Sequence, time.Now(), [2 * sha256.Size]byte{},
	}
	copy(r.digest[:], digest)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[string]int, mostRemembered)
	}
	place, there := m.known[subject]
	switch {
	case there:
	case len(m.ring) < mostRemembered:
		place = len(m.ring)
		m.ring = append(m.ring, remembered{})
	default:
		place = m.next
		m.next = (m.next + 1) % mostRemembered
		delete(m.known, m.ring[place].subject)
	}
	if !there {
		m.known[subject] = place
	}
	m.ring[place] = r
}

// on returns the event on a subject, if it is remembered.
func (m *memory) on(subject string) (job.Stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	place, there := m.known[subject]
	if !there || m.ring[place].sequence < m.first || time.Since(m.ring[place].at) >= rememberedFor {
		return job.Stored{}, false
	}
	r := &m.ring[place]
	e := job.Event{Kind: r.kind, Source: r.source, Job: job.View{ID: r.id, Status: r.status, Result: r.result}, Evidence: r.evidence}
	if r.digest[0] != 0 {
		e = e.Without(string(r.digest[:]))
	}
	return job.Stored{Event: e, Sequence: r.sequence, Existed: true}, true
}
