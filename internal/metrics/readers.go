package metrics

import "github.com/prometheus/client_golang/prometheus"

// Readers are the clients that follow the events: how many there are and may be, and how many were
// refused or cut.
type Readers interface {
	Open() int
	Most() int
	Refused() uint64
	Cut() uint64
}

// ShowReaders adds the clients that follow the events.
func (m *Metrics) ShowReaders(r Readers) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "receiver_event_readers", Help: "Clients that follow GET /v1/events."},
			func() float64 { return float64(r.Open()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "receiver_event_readers_limit", Help: "Limit of clients that follow GET /v1/events."},
			func() float64 { return float64(r.Most()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "receiver_event_readers_refused_total", Help: "Clients that were answered 503 because the limit was reached."},
			func() float64 { return float64(r.Refused()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "receiver_event_readers_cut_total", Help: "Clients whose stream of events was cut because they read too slowly."},
			func() float64 { return float64(r.Cut()) }),
	)
}
