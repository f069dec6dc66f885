package metrics

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/verify"
)

// Unavailable is the outcome of a callback that the store did not take.
const Unavailable = "unavailable"

// The outcomes of a callback at a configured source, and at an address without one.
var (
	outcomes = append([]string{
		callback.Accepted, callback.Duplicate, callback.Unrecognised, callback.Late, callback.Quarantined, callback.Unconfirmed, Unavailable,
	}, refusals...)
	refusals = []string{
		string(verify.Missing), string(verify.Ambiguous), string(verify.UnsupportedAlgorithm), string(verify.Malformed), string(verify.Mismatch),
		callback.BadCredentials, callback.MissingToken, callback.MismatchToken, job.Encoded, job.WrongPath, job.WrongMethod,
	}
	outcomesOfNoSource = []string{job.UnknownSource, job.Encoded, job.WrongPath, job.WrongMethod}
)

// rejections are the statuses of receiver_callbacks_rejected_total: those of the public listener,
// and what the private one answers to a callback that came there.
var rejections = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// sourceSeries are the series of one source, looked up once: this spares each callback the search
// by labels.
type sourceSeries struct {
	outcomes map[string]counter
	keys     map[keyLabels]keySeries
	last     atomic.Int64 // when it sent the last authentic callback, in nanoseconds since 1970; 0 for none
}

type keyLabels struct{ name, fingerprint string }

type keySeries struct {
	used, outside prometheus.Counter
	last          *atomic.Int64 // when it was used last, as of sourceSeries
}

// counter is a counter that can be read, too.
type counter struct {
	prometheus.Counter
	n *atomic.Int64
}

// Inc implements prometheus.Counter.
func (c counter) Inc() {
	c.n.Add(1)
	c.Counter.Inc()
}

func (m *Metrics) makeCallbacks() {
	m.callbacks = m.vector("receiver_callbacks_total",
		"Callbacks by source and outcome: accepted, duplicate, unrecognised, unavailable, or the reason of a refusal.", "source", "outcome")
	m.rejected = m.vector("receiver_callbacks_rejected_total",
		"Callbacks answered before verification, by status; those recorded as attempts are also in receiver_callbacks_total.", "answer")
	m.keys = m.vector("receiver_verifications_total",
		"Accepted signatures by source and key; an old key whose count grows is still in use at the platform.", "source", "key", "fingerprint")
	m.outside = m.vector("receiver_verifications_outside_window_total",
		"Accepted signatures by keys before their not_before or after their not_after.", "source", "key", "fingerprint")
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "receiver_callback_duration_seconds",
		Help:    "Time from the request headers to the decision, by authenticity.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	}, []string{"authentic"})
	m.refused, m.authentic = duration.WithLabelValues("false"), duration.WithLabelValues("true")
	m.registry.MustRegister(duration, lastAuthentic{m, prometheus.NewDesc("receiver_callback_last_authentic_timestamp_seconds",
		"Time of the last authentic callback of a source, in seconds since 1970; 0 if none is known.", []string{"source"}, nil)})
	for _, status := range rejections {
		m.rejected.WithLabelValues(http.StatusText(status))
	}
}

// SetSources has the series of the configured sources and keys exist, and no others: those of a
// source or key that is not configured any more end. The others go on.
func (m *Metrics) SetSources(keys []keyusage.Key) {
	m.changing.Lock()
	defer m.changing.Unlock()
	before := map[string]*sourceSeries{}
	if old := m.sources.Load(); old != nil {
		before = *old
	}
	now := map[string]*sourceSeries{job.NoSource: m.series(job.NoSource, outcomesOfNoSource, nil)}
	for _, k := range keys {
		s := now[k.Source]
		if s == nil {
			s = m.series(k.Source, outcomes, before[k.Source])
			now[k.Source] = s
		}
		labels := keyLabels{k.Name, k.Fingerprint}
		last := new(atomic.Int64)
		if old := before[k.Source]; old != nil && old.keys[labels].last != nil {
			last = old.keys[labels].last
		}
		s.keys[labels] = keySeries{m.keys.WithLabelValues(k.Source, k.Name, k.Fingerprint), m.outside.WithLabelValues(k.Source, k.Name, k.Fingerprint), last}
	}
	m.sources.Store(&now)
	m.reminded = false
	for name, old := range before {
		if now[name] == nil {
			for _, v := range []*prometheus.CounterVec{m.callbacks, m.keys, m.outside, m.watch, m.submissions} {
				v.DeletePartialMatch(prometheus.Labels{"source": name})
			}
			continue
		}
		for k := range old.keys {
			if _, kept := now[name].keys[k]; !kept {
				m.keys.DeleteLabelValues(name, k.name, k.fingerprint)
				m.outside.DeleteLabelValues(name, k.name, k.fingerprint)
			}
		}
	}
}

// series returns the series of a source without those of its keys.
func (m *Metrics) series(source string, outcomes []string, before *sourceSeries) *sourceSeries {
	s := &sourceSeries{outcomes: map[string]counter{}, keys: map[keyLabels]keySeries{}}
	for _, outcome := range outcomes {
		s.outcomes[outcome] = counter{m.callbacks.WithLabelValues(source, outcome), new(atomic.Int64)}
		if before != nil {
			s.outcomes[outcome] = before.outcomes[outcome]
		}
	}
	if before != nil {
		s.last.Store(before.last.Load())
	}
	if source != job.NoSource {
		m.startWatch(source)
	}
	return s
}

// source returns the label for a source: its name if it is configured.
func (m *Metrics) source(name string) string {
	if (*m.sources.Load())[name] == nil {
		return job.NoSource
	}
	return name
}

// Callback counts a callback that was decided on, or refused unjudged. One that was under way while
// its source or key was removed counts for no source, or no key.
func (m *Metrics) Callback(source string, out callback.Outcome, err error, took time.Duration) {
	outcome := Outcome(out, err)
	all := *m.sources.Load()
	s := all[source]
	if s == nil {
		s = all[job.NoSource]
	}
	if c, known := s.outcomes[outcome]; known {
		c.Inc()
	}
	duration := m.refused
	if out.Key != nil {
		duration = m.authentic
		now := time.Now().UnixNano()
		s.last.Store(now)
		if k, ok := s.keys[keyLabels{out.Key.Name(), out.Key.Fingerprint()}]; ok {
			k.used.Inc()
			k.last.Store(now)
			if out.Outside {
				k.outside.Inc()
			}
		}
	}
	duration.Observe(took.Seconds())
}

// Outcome names what became of a callback in one word.
func Outcome(out callback.Outcome, err error) string {
	switch {
	case errors.Is(err, callback.ErrUnauthorized):
		return out.Reason
	case err != nil:
		return Unavailable
	}
	return out.Kind
}

// Rejected counts a callback that was answered before any verification.
func (m *Metrics) Rejected(status int) {
	m.rejected.WithLabelValues(http.StatusText(status)).Inc()
}

// heard notes when a source sent an authentic callback, as the store tells.
func (m *Metrics) heard(source string, at time.Time) {
	s := (*m.sources.Load())[source]
	for s != nil {
		last := s.last.Load()
		if at.UnixNano() <= last || s.last.CompareAndSwap(last, at.UnixNano()) {
			return
		}
	}
}

// lastAuthentic shows when each source sent its last authentic callback.
type lastAuthentic struct {
	m    *Metrics
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c lastAuthentic) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements prometheus.Collector.
func (c lastAuthentic) Collect(to chan<- prometheus.Metric) {
	c.m.list() // has them know of earlier callbacks
	for name, s := range *c.m.sources.Load() {
		if name != job.NoSource {
			to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(s.last.Load())/1e9, name)
		}
	}
}
