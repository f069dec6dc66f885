package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/callback"
)

// ShowRetryState adds gauges of the retries that the platform has left for the sources in force.
// They are those of this process: other replicas have answered other callbacks.
func (m *Metrics) ShowRetryState(r *callback.Receiver, p *callback.RetryState) {
	m.registry.MustRegister(&retryGauges{
		receiver: r, retries: p,
		inARow:  gauge("failures_in_a_row", "Consecutive responses other than 2xx to possible callbacks of the platform."),
		failing: gauge("deliveries_failing", "Callbacks that were not answered 2xx and that the platform should retry."),
		givenUp: gauge("deliveries_given_up", "Callbacks that the platform no longer retries; they wait in its queue."),
		left:    gauge("attempts_left", "Retries left for the callback that has the fewest; 0 means that the platform may have stopped calling."),
		retry:   gauge("next_retry_timestamp_seconds", "Time of the next expected retry, in seconds since 1970; absent if none is expected."),
	})
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("receiver_patience_"+name, help, []string{"source"}, nil)
}

type retryGauges struct {
	receiver                              *callback.Receiver
	retries                               *callback.RetryState
	inARow, failing, givenUp, left, retry *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *retryGauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.inARow, g.failing, g.givenUp, g.left, g.retry} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *retryGauges) Collect(to chan<- prometheus.Metric) {
	for _, source := range g.receiver.Sources() {
		s := g.retries.Standing(source.Name, time.Now())
		show := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, source.Name)
		}
		show(g.inARow, float64(s.InARow))
		show(g.failing, float64(s.Failing))
		show(g.givenUp, float64(s.GivenUp))
		show(g.left, float64(s.AttemptsLeft))
		if !s.NextRetry.IsZero() {
			show(g.retry, float64(s.NextRetry.UnixMilli())/1000)
		}
	}
}
