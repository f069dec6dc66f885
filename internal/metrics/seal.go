package metrics

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/condition"
)

// Sealing are the figures of the sealed logs, by stream.
type Sealing struct {
	sealed   *prometheus.GaugeVec
	unsealed *prometheus.GaugeVec
	fork     *prometheus.GaugeVec
	odd      *prometheus.CounterVec
	took     *prometheus.HistogramVec
	told     *prometheus.GaugeVec
	toldAt   *prometheus.GaugeVec
	streams  []string
	lags     map[string]*lag
}

// Sealing adds the figures of the sealed logs over streams to the metrics. It may be called once.
func (m *Metrics) Sealing(streams []string) *Sealing {
	by := []string{"stream"}
	s := &Sealing{
		streams: streams, lags: map[string]*lag{},
		sealed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_sealed_records", Help: "Records in the newest checkpoint of the log.",
		}, by),
		unsealed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_unsealed_records", Help: "Records that are in no checkpoint yet.",
		}, by),
		fork: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_fork", Help: "1 after the log was found forked, rolled back or rewritten; then sealing stops.",
		}, by),
		odd: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receiver_audit_suspect_records_total",
			Help: "Records sealed though their time contradicts others, and gaps from which records were removed before they were sealed.",
		}, by),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "receiver_audit_seal_duration_seconds", Help: "Duration of one sealing.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, by),
		told: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_anchor_records", Help: "Records in the newest checkpoint that the anchor has taken.",
		}, []string{"stream", "anchor"}),
		toldAt: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_anchor_timestamp_seconds", Help: "When the anchor took its newest checkpoint, in seconds since 1970.",
		}, []string{"stream", "anchor"}),
	}
	m.registry.MustRegister(s.sealed, s.unsealed, s.fork, s.odd, s.took, s.told, s.toldAt)
	for _, stream := range streams {
		s.fork.WithLabelValues(stream)
		s.odd.WithLabelValues(stream)
		s.took.WithLabelValues(stream)
		lag := &lag{log: condition.Log{Stream: stream}}
		s.lags[stream] = lag
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_audit_unsealed_age_seconds", ConstLabels: prometheus.Labels{"stream": stream},
			Help: "Time since the oldest record that is in no checkpoint was first seen; 0 if all are in one.",
		}, lag.age))
	}
	return s
}

// lag is how long a log has had records that are not sealed, and what else is known of it.
type lag struct {
	mu  sync.Mutex
	log condition.Log
}

// observe takes how many records are sealed and are not. Once more are sealed, the oldest of the
// others came after the sealing had begun.
func (l *lag) observe(sealed, unsealed int64, odd int, fork, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case unsealed == 0:
		l.log.Since = time.Time{}
	case l.log.Since.IsZero() || sealed > l.log.Sealed:
		l.log.Since = now
	}
	l.log.Sealed, l.log.Unsealed, l.log.Fork = sealed, unsealed, fork
	if odd > 0 {
		l.log.Suspect = now
	}
	if l.log.Failed = failed; failed {
		return
	}
	if l.log.Seen = now; unsealed == 0 {
		l.log.Whole = now
	}
}

// told takes that an anchor has a checkpoint.
func (l *lag) told(a condition.Anchor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log.Anchors = append(slices.DeleteFunc(slices.Clone(l.log.Anchors), func(b condition.Anchor) bool { return b.Name == a.Name }), a)
}

func (l *lag) age() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log.Since.IsZero() {
		return 0
	}
	return time.Since(l.log.Since).Seconds()
}

// Logs returns what is known of all logs.
func (s *Sealing) Logs() []condition.Log {
	all := make([]condition.Log, 0, len(s.streams))
	for _, stream := range s.streams {
		l := s.lags[stream]
		l.mu.Lock()
		all = append(all, l.log)
		l.mu.Unlock()
	}
	return all
}

// Observe takes the figures of one log. Odd counts since the last call; took is zero when this
// replica did not seal. Err is why the log could not be looked at; nil if it could.
func (s *Sealing) Observe(stream string, sealed, unsealed int64, odd int, took time.Duration, fork bool, err error) {
	s.sealed.WithLabelValues(stream).Set(float64(sealed))
	s.unsealed.WithLabelValues(stream).Set(float64(unsealed))
	if l := s.lags[stream]; l != nil {
		l.observe(sealed, unsealed, odd, fork, err != nil)
	}
	s.fork.WithLabelValues(stream).Set(one(fork))
	s.odd.WithLabelValues(stream).Add(float64(odd))
	if took > 0 {
		s.took.WithLabelValues(stream).Observe(took.Seconds())
	}
}

// Told takes that an anchor has taken a checkpoint of so many records; both are zero for one that
// has taken none.
func (s *Sealing) Told(stream, anchor string, size int64, at time.Time) {
	seconds := 0.0
	if !at.IsZero() {
		seconds = float64(at.UnixMilli()) / 1000
	}
	s.told.WithLabelValues(stream, anchor).Set(float64(size))
	s.toldAt.WithLabelValues(stream, anchor).Set(seconds)
	if l := s.lags[stream]; l != nil {
		l.told(condition.Anchor{Name: anchor, Records: size, At: at})
	}
}

// Archives are the figures of records that are in no archive, by stream.
type Archives struct{ age, due *prometheus.GaugeVec }

// Archives adds the figures of unarchived records to the metrics. It may be called once.
func (m *Metrics) Archives() *Archives {
	by := []string{"stream"}
	a := &Archives{
		age: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_unarchived_age_seconds", Help: "Age of the oldest record that is in no archive; 0 if all are in one.",
		}, by),
		due: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "receiver_audit_unarchived_due", Help: "1 if age or size removes a record soon that is in no archive.",
		}, by),
	}
	m.registry.MustRegister(a.age, a.due)
	return a
}

// Observe takes the figures of one stream; stored is that of its oldest unarchived record.
func (a *Archives) Observe(stream string, stored time.Time, due bool) {
	age := 0.0
	if !stored.IsZero() {
		age = time.Since(stored).Seconds()
	}
	a.age.WithLabelValues(stream).Set(age)
	a.due.WithLabelValues(stream).Set(one(due))
}
