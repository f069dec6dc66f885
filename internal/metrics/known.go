package metrics

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"receiver/internal/condition"
)

// Source is what the metrics know of one source.
type Source struct {
	// Authentic is when its last authentic callback came; zero if none is known.
	Authentic time.Time
	// Refused counts the refused callbacks since the start, by reason.
	Refused map[string]int64
	// Used is when this process accepted the last signature by each key, by fingerprint.
	Used map[string]time.Time
}

// Source returns what is known of a source. One that is not configured has nothing.
func (m *Metrics) Source(name string) Source {
	m.list() // has them know of earlier callbacks
	known := Source{Refused: map[string]int64{}, Used: map[string]time.Time{}}
	s := (*m.sources.Load())[name]
	if s == nil {
		return known
	}
	known.Authentic = moment(&s.last)
	for _, reason := range refusals {
		if c, there := s.outcomes[reason]; there && c.n.Load() > 0 {
			known.Refused[reason] = c.n.Load()
		}
	}
	for labels, k := range s.keys {
		if at := moment(k.last); at.After(known.Used[labels.fingerprint]) {
			known.Used[labels.fingerprint] = at
		}
	}
	return known
}

// moment is a time that is kept in nanoseconds since 1970.
func moment(kept *atomic.Int64) time.Time {
	if ns := kept.Load(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Time{}
}

// known is what the metrics are asked for by others than Prometheus.
type known struct {
	mu           sync.Mutex
	certificates []certificate
	edge         func() (EdgeLine, error)
	backlog      func(sink string) (SinkBacklog, error)
	posts        map[string]condition.Sink // their last outcomes, by sink
}

type certificate struct {
	listener string
	end      func() time.Time
}

func (k *known) set(change func(*known)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

// posted notes the outcome of a post.
func (k *known) posted(sink, outcome string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.posts[sink]
	switch outcome {
	case "accepted":
		s.Failing, s.Failed = time.Time{}, time.Time{}
	case "failed":
		s.Failed = time.Now()
		if s.Failing.IsZero() {
			s.Failing = s.Failed
		}
	}
	k.posts[sink] = s
}

// Certificates returns those of the listeners that are open.
func (m *Metrics) Certificates() (all []condition.Certificate) {
	m.known.set(func(k *known) {
		for _, c := range k.certificates {
			all = append(all, condition.Certificate{Listener: c.listener, Ends: c.end()})
		}
	})
	return all
}

// errNotYet is returned while a part that is configured has not begun.
var errNotYet = errors.New("it has not begun yet")

// Edge asks for the state of the line to the hub.
func (m *Metrics) Edge() (EdgeLine, error) {
	var look func() (EdgeLine, error)
	m.known.set(func(k *known) { look = k.edge })
	if look == nil {
		return EdgeLine{}, errNotYet
	}
	return look()
}

// Sink asks for what a sink has not accepted, and since when its posts fail.
func (m *Metrics) Sink(name string) condition.Sink {
	var look func(string) (SinkBacklog, error)
	var s condition.Sink
	m.known.set(func(k *known) { look, s = k.backlog, k.posts[name] })
	s.Name, s.Unknown = name, errNotYet
	if look != nil {
		var b SinkBacklog
		b, s.Unknown = look(name)
		s.Retrying, s.GivenUp = b.Retrying, b.GivenUp
	}
	return s
}
