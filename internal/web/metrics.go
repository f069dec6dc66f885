package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"receiver/internal/callback"
	"receiver/internal/job"
)

// Metrics are the program's figures, in a registry of their own.
type Metrics struct {
	registry    *prometheus.Registry
	callbacks   *prometheus.CounterVec
	rejected    *prometheus.CounterVec
	keys        *prometheus.CounterVec
	outside     *prometheus.CounterVec
	watch       *prometheus.CounterVec
	submissions *prometheus.CounterVec
	duration    *prometheus.HistogramVec
}

// NewMetrics returns metrics with everything at zero. Dropped reports how many refused
// attempts could not be recorded.
func NewMetrics(dropped func() uint64) *Metrics {
	m := &Metrics{
		registry:    prometheus.NewRegistry(),
		watch:       newWatchCounter(),
		submissions: newSubmissionCounter(),
		callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receiver_callbacks_total",
			Help: "Callbacks by source and outcome: accepted, duplicate, unrecognised, unavailable, or the reason of a refusal.",
		}, []string{"source", "outcome"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receiver_callbacks_rejected_total",
			Help: "Callbacks answered before verification, by status; those recorded as attempts are also in receiver_callbacks_total.",
		}, []string{"answer"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receiver_verifications_total",
			Help: "Accepted signatures by source and key; an old key whose count grows is still in use at the platform.",
		}, []string{"source", "key", "fingerprint"}),
		outside: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "receiver_verifications_outside_window_total",
			Help: "Accepted signatures by keys before their not_before or after their not_after.",
		}, []string{"source", "key", "fingerprint"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "receiver_callback_duration_seconds",
			Help:    "Time from the request headers to the decision, by authenticity.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}, []string{"authentic"}),
	}
	m.registry.MustRegister(m.callbacks, m.rejected, m.keys, m.outside, m.duration, m.watch, m.submissions,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_attempts_dropped_total",
			Help: "Refused attempts that were not recorded because too many arrived at once.",
		}, func() float64 { return float64(dropped()) }))
	return m
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) callback(source string, out callback.Outcome, err error, took time.Duration) {
	outcome := out.Kind
	switch {
	case errors.Is(err, callback.ErrUnauthorized):
		outcome = out.Reason
	case err != nil:
		outcome = "unavailable"
	}
	if out.Reason == job.UnknownSource {
		source = job.NoSource // a label that anyone may choose would have no bound
	}
	m.callbacks.WithLabelValues(source, outcome).Inc()
	authentic := "false"
	if out.Key != nil {
		authentic = "true"
		m.keys.WithLabelValues(source, out.Key.Name(), out.Key.Fingerprint()).Inc()
		if out.Outside {
			m.outside.WithLabelValues(source, out.Key.Name(), out.Key.Fingerprint()).Inc()
		}
	}
	m.duration.WithLabelValues(authentic).Observe(took.Seconds())
}

// newWatchCounter counts what is done to see jobs to their end.
func newWatchCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receiver_watch_total",
		Help: "Actions on jobs without a callback, or after one: look (a poll), overdue, lost, late, conflict, undecided, errors, confirm, release.",
	}, []string{"what", "source", "outcome"})
}

// Watch counts one thing that the watcher did.
func (m *Metrics) Watch(what, source, outcome string) {
	m.watch.WithLabelValues(what, source, outcome).Inc()
}

// newSubmissionCounter counts the answers to requests to submit.
func newSubmissionCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receiver_submissions_total",
		Help: "Answers to requests to submit a job by the HTTP API: submitted, unknown, or the kind of problem.",
	}, []string{"source", "outcome"})
}

// Submission counts the answer to a request to submit.
func (m *Metrics) Submission(source, outcome string) {
	m.submissions.WithLabelValues(source, outcome).Inc()
}
