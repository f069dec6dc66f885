package metrics

import "github.com/prometheus/client_golang/prometheus"

// Embedded is the state of an embedded store.
type Embedded struct {
	// Free is what may still be written to its disk, in bytes; -1 if not known.
	Free int64
	// Refuses says that nothing is stored and callbacks are answered 503.
	Refuses bool
	// Restarts is how often it was started again.
	Restarts int
}

// ShowState adds a gauge that is 1 for the state that the store is in and 0 for the others.
func (m *Metrics) ShowState(states []string, look func() string) {
	for _, s := range states {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_store_state", ConstLabels: prometheus.Labels{"state": s},
			Help: "1 for the current state of the store; /readyz gives the reason if it is not ok.",
		}, func() float64 { return one(look() == s) }))
	}
}

// ShowStore adds gauges of an embedded store.
func (m *Metrics) ShowStore(look func() Embedded) {
	show := func(name, help string, value func(Embedded) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "receiver_store_" + name, Help: help},
			func() float64 { return value(look()) }))
	}
	show("free_bytes", "Free disk space of the embedded store in bytes; -1 if unknown.",
		func(s Embedded) float64 { return float64(s.Free) })
	show("full", "1 while nothing can be stored, for a full disk or anything else, and callbacks are answered 503; /readyz says why.",
		func(s Embedded) float64 { return one(s.Refuses) })
	show("restarts", "Restarts of the embedded store after a failure, since the start of the process.",
		func(s Embedded) float64 { return float64(s.Restarts) })
}

// ShowRefused adds counters of what the NATS port refused, by why.
func (m *Metrics) ShowRefused(reasons []string, count func(reason string) uint64) {
	for _, r := range reasons {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_nats_refused_total", ConstLabels: prometheus.Labels{"reason": r},
			Help: "Clients of the NATS port that were refused or disconnected: without credentials, with too many connections, too slow to read, or not signed in when no connection was free.",
		}, func() float64 { return float64(count(r)) }))
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
