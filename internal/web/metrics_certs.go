package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShowCertificate adds the certificate of a listener: its end, and how often another one could
// not be used.
func (m *Metrics) ShowCertificate(name string, end func() time.Time, failures func() uint64) {
	labels := prometheus.Labels{"listener": name}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_certificate_not_after_seconds", ConstLabels: labels, Help: "When the TLS certificate in use of a listener ends, in seconds since 1970; 0 while none is ordered yet.",
		}, func() float64 { return float64(end().Unix()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_certificate_failures_total", ConstLabels: labels, Help: "Changed TLS certificates and keys of a listener that could not be used, and orders of new ones that failed.",
		}, func() float64 { return float64(failures()) }),
	)
}
