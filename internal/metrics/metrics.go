// Package metrics has the figures of a running receiver, for Prometheus. docs/metrics.md lists
// them.
//
// Every series with known labels exists from the start, at zero, so that rate() and alerts see the
// first event. No label has a value that a stranger chose: sources are the configured ones, and one
// word, job.NoSource, stands for all others.
package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"receiver/internal/condition"
	"receiver/internal/version"
)

// Metrics are the program's figures, in a registry of their own. They are safe for concurrent use.
type Metrics struct {
	registry    *prometheus.Registry
	callbacks   *prometheus.CounterVec
	rejected    *prometheus.CounterVec
	keys        *prometheus.CounterVec
	outside     *prometheus.CounterVec
	watch       *prometheus.CounterVec
	submissions *prometheus.CounterVec
	requests    *prometheus.CounterVec
	publish     *prometheus.HistogramVec
	batches     prometheus.Histogram

	refused, authentic prometheus.Observer // of the duration of callbacks
	known              known

	sources  atomic.Pointer[map[string]*sourceSeries]
	jobs     atomic.Pointer[Jobs]
	changing sync.Mutex // held while sources are replaced, or learn of earlier callbacks
	reminded bool       // the sources know of them
}

// Store is what the metrics ask of the store at each scrape.
type Store interface {
	// Dropped is how many refused attempts could not be recorded, and Restored how many durable
	// consumers were made anew.
	Dropped() uint64
	Restored() uint64
	// InFlight is how many events and attempts wait for their acknowledgement.
	InFlight() int64
}

// New returns metrics with everything at zero. Store returns the store, nil while there is none; it
// may be nil itself.
func New(store func() Store) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), known: known{posts: map[string]condition.Sink{}}}
	m.makeCallbacks()
	m.makeWatch()
	m.makeRequests()
	m.makePublish()
	m.SetSources(nil)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	ask := func(of func(Store) float64) func() float64 {
		return func() float64 {
			if store != nil {
				if s := store(); s != nil {
					return of(s)
				}
			}
			return 0
		}
	}
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_attempts_dropped_total",
			Help: "Refused attempts that were not recorded because too many arrived at once.",
		}, ask(func(s Store) float64 { return float64(s.Dropped()) })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "receiver_consumers_restored_total",
			Help: "Durable consumers of the receiver that another client changed or removed, and that were made again; /readyz and the log name them.",
		}, ask(func(s Store) float64 { return float64(s.Restored()) })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "receiver_publish_in_flight",
			Help: "Events and records that wait for the acknowledgement of the store; the limit is limits.waiting.",
		}, ask(func(s Store) float64 { return float64(s.InFlight()) })))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.Gatherer(), promhttp.HandlerOpts{})
}

// Gatherer returns the metrics as they are served.
func (m *Metrics) Gatherer() prometheus.Gatherer {
	m.startRequests()
	return m.registry
}

func buildInfo() prometheus.Collector {
	program, revision := version.Read()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "receiver_build_info", Help: "1; the labels say which program runs.",
		ConstLabels: prometheus.Labels{"version": program, "revision": revision, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}

// vector returns a counter with labels.
func (m *Metrics) vector(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}
