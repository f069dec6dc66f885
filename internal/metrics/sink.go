package metrics

import "github.com/prometheus/client_golang/prometheus"

// SinkBacklog is what a sink has not accepted: events that come next, jobs whose events are posted
// again, and events that are not.
type SinkBacklog struct {
	Pending           uint64
	Retrying, GivenUp int
}

// sinkCollector asks once for each scrape and sink.
type sinkCollector struct {
	names                      []string
	look                       func(name string) (SinkBacklog, error)
	pending, retrying, givenUp *prometheus.Desc
}

// ShowSinks adds figures of the sinks of these names, and returns what counts an outcome. Without
// an answer of look the backlog is left out.
func (m *Metrics) ShowSinks(names []string, look func(name string) (SinkBacklog, error)) (count func(name, outcome string)) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("receiver_sink_"+name, help, []string{"sink"}, nil)
	}
	posts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receiver_sink_posts_total",
		Help: "Posts to a sink by outcome: accepted, failed; and events: given_up after the last try, gone if they left JOBS before.",
	}, []string{"sink", "outcome"})
	m.registry.MustRegister(posts, &sinkCollector{
		names: names, look: look,
		pending:  desc("pending_events", "Events that were not posted yet."),
		retrying: desc("retrying_jobs", "Jobs whose events a sink did not accept; they are posted again."),
		givenUp:  desc("given_up_events", "Events that were given up and not replayed."),
	})
	m.known.set(func(k *known) { k.backlog = look })
	for _, name := range names {
		for _, outcome := range []string{"accepted", "failed", "given_up", "gone"} {
			posts.WithLabelValues(name, outcome)
		}
	}
	return func(name, outcome string) {
		posts.WithLabelValues(name, outcome).Inc()
		m.known.posted(name, outcome)
	}
}

// Describe implements prometheus.Collector.
func (c *sinkCollector) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.pending, c.retrying, c.givenUp} {
		all <- d
	}
}

// Collect implements prometheus.Collector.
func (c *sinkCollector) Collect(all chan<- prometheus.Metric) {
	for _, name := range c.names {
		l, err := c.look(name)
		if err != nil {
			continue
		}
		for d, value := range map[*prometheus.Desc]float64{c.pending: float64(l.Pending), c.retrying: float64(l.Retrying), c.givenUp: float64(l.GivenUp)} {
			all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, name)
		}
	}
}
