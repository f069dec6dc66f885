package web

import "github.com/prometheus/client_golang/prometheus"

// ShowStore adds gauges of the disk under an embedded store: free bytes, -1 if not known,
// whether writing is refused, and how often the store was started again after a write failed.
func (m *Metrics) ShowStore(look func() (free int64, full bool, restarts int)) {
	show := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "receiver_store_" + name, Help: help}, value))
	}
	show("free_bytes", "What may still be written to the disk of the embedded store; -1 if not known.", func() float64 {
		free, _, _ := look()
		return float64(free)
	})
	show("full", "1 while nothing can be stored and callbacks are answered 503; /readyz says why.", func() float64 {
		if _, full, _ := look(); full {
			return 1
		}
		return 0
	})
	show("restarts", "How often the embedded store was started again after its disk was full, since the process began.", func() float64 {
		_, _, restarts := look()
		return float64(restarts)
	})
}
