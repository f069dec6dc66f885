package metrics

import "github.com/prometheus/client_golang/prometheus"

// Connections are those of a listener.
type Connections struct {
	// Open are open now, of Most that may be; Waiting are those of them without a place, and
	// Widest is how many the address has that has the most.
	Open, Most, Waiting, Widest int
	// Closed were closed to make a place for others, Refused at once.
	Closed, Refused uint64
}

// ShowConnections adds the connections of a listener.
func (m *Metrics) ShowConnections(name string, look func() Connections) {
	labels := prometheus.Labels{"listener": name}
	for _, g := range []struct {
		name, help string
		value      func(Connections) int
	}{
		{"receiver_connections", "Open connections of a listener.", func(c Connections) int { return c.Open }},
		{"receiver_connections_limit", "Limit of open connections of a listener; see limits.connections.", func(c Connections) int { return c.Most }},
		{"receiver_connections_waiting", "Open connections that wait until others end.", func(c Connections) int { return c.Waiting }},
		{"receiver_connections_one_address", "Connections of the client address with the most, without trusted proxies.", func(c Connections) int { return c.Widest }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, ConstLabels: labels, Help: g.help},
			func() float64 { return float64(g.value(look())) }))
	}
	for _, c := range []struct {
		name, help string
		value      func(Connections) uint64
	}{
		{"receiver_connections_closed_total", "Connections that were closed in favour of new ones.", func(c Connections) uint64 { return c.Closed }},
		{"receiver_connections_refused_total", "Connections that were closed at once because the limit was reached.", func(c Connections) uint64 { return c.Refused }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, ConstLabels: labels, Help: c.help},
			func() float64 { return float64(c.value(look())) }))
	}
}
