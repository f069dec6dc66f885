package web

import "github.com/prometheus/client_golang/prometheus"

// ShowConnections adds the connections of a listener.
func (m *Metrics) ShowConnections(name string, l *Listener) {
	labels := prometheus.Labels{"listener": name}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_connections", ConstLabels: labels, Help: "Open connections of a listener.",
		}, func() float64 {
			open, _, _ := l.Connections()
			return float64(open)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_connections_limit", ConstLabels: labels, Help: "How many connections of a listener may be open; see limits.connections.",
		}, func() float64 {
			_, most, _ := l.Connections()
			return float64(most)
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_connections_closed_total", ConstLabels: labels, Help: "Connections that waited for a request and were closed to make place for others.",
		}, func() float64 {
			_, _, closed := l.Connections()
			return float64(closed)
		}),
	)
}
