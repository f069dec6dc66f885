package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// EdgeLine is the state of an edge towards its hub.
type EdgeLine struct {
	// Up is true while the hub answers.
	Up      bool
	Streams []EdgeStream
}

// EdgeStream is how far the hub is behind in one stream.
type EdgeStream struct {
	Stream string
	// Behind is how many records the hub does not have, and Oldest when the first of them
	// was stored; zero if there is none.
	Behind uint64
	Oldest time.Time
	// The results for records since the start.
	Sent, Repeated, Missed uint64
}

// edgeCollector asks once for each scrape.
type edgeCollector struct {
	look                                           func() (EdgeLine, error)
	up, behind, seconds, sent, repeated, missedOut *prometheus.Desc
}

// ShowEdge adds figures of the line to the hub. Without an answer they are left out.
func (m *Metrics) ShowEdge(look func() (EdgeLine, error)) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("receiver_edge_"+name, help, labels, nil)
	}
	m.known.set(func(k *known) { k.edge = look })
	m.registry.MustRegister(&edgeCollector{
		look:      look,
		up:        desc("line_up", "1 while the hub answers. Callbacks are stored here in any case."),
		behind:    desc("behind_records", "Records that are not at the hub yet.", "stream"),
		seconds:   desc("behind_seconds", "Age in seconds of the oldest record that is not at the hub yet; 0 if all are.", "stream"),
		sent:      desc("forwarded_total", "Records stored by the hub.", "stream"),
		repeated:  desc("repeated_total", "Events that the hub had already received another way; it stores a callback among them as an attempt.", "stream"),
		missedOut: desc("missed_total", "Records that the size limit of their stream removed here before they were at the hub.", "stream"),
	})
}

// Describe implements prometheus.Collector.
func (c *edgeCollector) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.behind, c.seconds, c.sent, c.repeated, c.missedOut} {
		all <- d
	}
}

// Collect implements prometheus.Collector.
func (c *edgeCollector) Collect(all chan<- prometheus.Metric) {
	line, err := c.look()
	if err != nil {
		return
	}
	up := 0.0
	if line.Up {
		up = 1
	}
	all <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, up)
	for _, s := range line.Streams {
		show := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
			all <- prometheus.MustNewConstMetric(d, kind, value, s.Stream)
		}
		show(c.behind, prometheus.GaugeValue, float64(s.Behind))
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(time.Since(s.Oldest).Seconds(), 0)
		}
		show(c.seconds, prometheus.GaugeValue, age)
		show(c.sent, prometheus.CounterValue, float64(s.Sent))
		show(c.repeated, prometheus.CounterValue, float64(s.Repeated))
		show(c.missedOut, prometheus.CounterValue, float64(s.Missed))
	}
}
