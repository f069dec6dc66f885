package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/job"
	"receiver/internal/joblist"
)

// Jobs is the list of jobs; joblist.Projection is one.
type Jobs interface {
	// Ready is closed as soon as the list is whole.
	Ready() <-chan struct{}
	// Counts returns how many jobs of each source are in each state, without counting them.
	Counts() map[string]map[joblist.State]int
	// LastCallbacks returns when the newest callback came that ended a job, by source.
	LastCallbacks() map[string]time.Time
}

// jobGauges asks the list once for each scrape.
type jobGauges struct {
	m    *Metrics
	desc *prometheus.Desc
}

// ShowJobs adds how many jobs are in each state. Until the list is whole they are left out.
func (m *Metrics) ShowJobs(list Jobs) {
	m.jobs.Store(&list)
	m.registry.MustRegister(jobGauges{m, prometheus.NewDesc("receiver_jobs",
		"Jobs in the list of jobs by source, _ for sources that are not configured any more, and state; absent until the list is read.",
		[]string{"source", "state"}, nil)})
}

// list returns the list of jobs, nil until it is whole. The first time it has the sources know of
// callbacks from before the start.
func (m *Metrics) list() Jobs {
	list := m.jobs.Load()
	if list == nil {
		return nil
	}
	select {
	case <-(*list).Ready():
	default:
		return nil
	}
	m.changing.Lock()
	defer m.changing.Unlock()
	if !m.reminded {
		m.reminded = true
		for source, at := range (*list).LastCallbacks() {
			m.heard(source, at)
		}
	}
	return *list
}

// Describe implements prometheus.Collector.
func (g jobGauges) Describe(to chan<- *prometheus.Desc) { to <- g.desc }

// Collect implements prometheus.Collector.
func (g jobGauges) Collect(to chan<- prometheus.Metric) {
	list := g.m.list()
	if list == nil {
		return
	}
	counts, configured := list.Counts(), *g.m.sources.Load()
	rest := map[joblist.State]int{}
	for source, states := range counts {
		if configured[source] == nil {
			for state, n := range states {
				rest[state] += n
			}
		}
	}
	counts[job.NoSource] = rest
	for source := range configured {
		for _, state := range joblist.States {
			to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(counts[source][state]), source, string(state))
		}
	}
}
