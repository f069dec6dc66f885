package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// published are the outcomes of receiver_publish_duration_seconds.
var published = []string{"acknowledged", "exists", "failed"}

func (m *Metrics) makePublish() {
	m.publish = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "receiver_publish_duration_seconds",
		Help:    "Time to store an event or a record: acknowledged; exists, if its subject holds one already; or failed.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		// A hundred native buckets have an error of at most 5 % between 20 µs and a minute.
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"outcome"})
	m.batches = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "receiver_publish_batch_messages",
		Help:    "Messages of each atomic batch that was stored; messages that are stored one by one are in none.",
		Buckets: prometheus.ExponentialBuckets(4, 2, 8),
	})
	m.registry.MustRegister(m.publish, m.batches)
	for _, outcome := range published {
		m.publish.WithLabelValues(outcome)
	}
}

// Published takes how long it took to store a message, and the outcome: acknowledged, exists or
// failed.
func (m *Metrics) Published(took time.Duration, outcome string) {
	m.publish.WithLabelValues(outcome).Observe(took.Seconds())
}

// Batch takes how many messages an atomic batch had.
func (m *Metrics) Batch(messages int) { m.batches.Observe(float64(messages)) }
