package publish

import (
	"sync"
	"time"

	"receiver/internal/job"
)

// memory remembers the last events that exist once for a job, so that their repeats cost
// no question. An event that was there is there, so what is remembered is right whatever
// other replicas do; what is not remembered is asked of the stream.
//
// A repeat of the platform comes soon, the first three within ten minutes (OC: section
// 6.4). An event that was read back just before it goes by age is remembered that much
// longer than the stream does, and a repeat of it is a repeat all the same.
type memory struct {
	mu    sync.Mutex
	known map[string]remembered // by subject
	order [mostRemembered]string
	next  int
}

type remembered struct {
	event job.Stored
	at    time.Time
}

// mostRemembered bounds the memory: about 600 bytes for each event.
const (
	mostRemembered = 4096
	rememberedFor  = 10 * time.Minute
)

// put remembers an event under its subject. What can be large is left out: its data, its
// receipt, and the texts in its view.
func (m *memory) put(e job.Stored) {
	e.Data, e.Receipt, e.Existed = nil, nil, true
	e.Job.Payload, e.Job.Error, e.Job.Message = nil, "", ""
	subject := e.Subject()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]remembered{}
	}
	if _, there := m.known[subject]; !there {
		delete(m.known, m.order[m.next])
		m.order[m.next] = subject
		m.next = (m.next + 1) % mostRemembered
	}
	m.known[subject] = remembered{e, time.Now()}
}

// on returns the event on a subject, if it is remembered.
func (m *memory) on(subject string) (job.Stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, there := m.known[subject]
	return r.event, there && time.Since(r.at) < rememberedFor
}
