package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/access"
)

// accessCollector asks once for each scrape, so that a token that was removed is shown no more.
type accessCollector struct {
	set           *access.Set
	requests, use *prometheus.Desc
}

// ShowAccess adds what the tokens of the private listener are used for.
func (m *Metrics) ShowAccess(set *access.Set) {
	m.registry.MustRegister(&accessCollector{
		set: set,
		requests: prometheus.NewDesc("receiver_private_requests_total",
			"Requests to the private listener by name of the token, empty without a valid one, and outcome: served, forbidden, limited, unauthorized.",
			[]string{"token", "outcome"}, nil),
		use: prometheus.NewDesc("receiver_private_token_last_used_timestamp_seconds",
			"Time of the last use of a token of the private listener, in seconds since 1970; absent if unused since the start.", []string{"token"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (c *accessCollector) Describe(all chan<- *prometheus.Desc) {
	all <- c.requests
	all <- c.use
}

// Collect implements prometheus.Collector.
func (c *accessCollector) Collect(all chan<- prometheus.Metric) {
	count := func(n uint64, token, outcome string) {
		all <- prometheus.MustNewConstMetric(c.requests, prometheus.CounterValue, float64(n), token, outcome)
	}
	for _, u := range c.set.Uses() {
		count(u.Served, u.Name, "served")
		count(u.Forbidden, u.Name, "forbidden")
		count(u.Limited, u.Name, "limited")
		if !u.LastUsed.IsZero() {
			all <- prometheus.MustNewConstMetric(c.use, prometheus.GaugeValue, float64(u.LastUsed.UnixNano())/1e9, u.Name)
		}
	}
	refused, limited := c.set.Wrong()
	count(refused, "", "unauthorized")
	count(limited, "", "limited")
}
