package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ShowCertificate adds the certificate of a listener: its end, and how often another one could
// not be used.
func (m *Metrics) ShowCertificate(name string, end func() time.Time, failures func() uint64) {
	labels := prometheus.Labels{"listener": name}
	m.known.set(func(k *known) { k.certificates = append(k.certificates, certificate{name, end}) })
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_certificate_not_after_seconds", ConstLabels: labels, Help: "Expiry of the TLS certificate of a listener, in seconds since 1970; 0 before the first certificate is issued.",
		}, func() float64 { return float64(end().Unix()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_certificate_failures_total", ConstLabels: labels, Help: "Failed reloads and failed orders of the TLS certificate of a listener.",
		}, func() float64 { return float64(failures()) }),
	)
}
