package metrics

import "github.com/prometheus/client_golang/prometheus"

// ShowLogLimit adds a counter of the lines of the log that were over its rate.
func (m *Metrics) ShowLogLimit(held func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "receiver_log_lines_limited_total",
		Help: "Log lines that were suppressed by the rate limit; one line a second counts them by kind.",
	}, func() float64 { return float64(held()) }))
}

// ShowTraces adds a counter of the spans that no collector has taken.
func (m *Metrics) ShowTraces(dropped func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "receiver_trace_spans_dropped_total",
		Help: "Spans that were lost because tracing.endpoint did not take them, or too many ended at once.",
	}, func() float64 { return float64(dropped()) }))
}

// ShowLog adds a counter of the lines of the log that were lost.
func (m *Metrics) ShowLog(dropped func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "receiver_log_lines_dropped_total",
		Help: "Log lines that were lost because standard error was not read, full or closed.",
	}, func() float64 { return float64(dropped()) }))
}
