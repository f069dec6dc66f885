package metrics_test

import (
	"testing"
	"time"

	"receiver/internal/access"
	"receiver/internal/callback"
	"receiver/internal/joblist"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/verify"
)

// rig is metrics in which everything is shown that a receiver can show, and what they show.
type rig struct {
	*metrics.Metrics
	key  *verify.Key
	jobs *jobs
}

// full returns metrics of a receiver with the sources crm and erp, in which every metric has a
// value.
func full(t *testing.T) *rig {
	t.Helper()
	key, err := verify.NewKey("2026-11", []byte("a secret"), verify.Window{})
	must(t, err)
	v, err := verify.New(key)
	must(t, err)
	r, err := callback.New(callback.Options{Sources: []callback.Source{{Name: "crm", Verifier: v}}})
	must(t, err)
	retries := callback.NewRetryState()
	retries.Failed("crm", []byte("{}"), "mismatch", time.Now())
	set := access.NewSet("a private token", 100, time.Now)
	_, err = set.Check("a private token", "127.0.0.1")
	must(t, err)

	m := &rig{metrics.New(func() metrics.Store { return store{} }), key, &jobs{ready: make(chan struct{})}}
	m.SetSources(keysOf(key, "crm", "erp"))
	m.ShowAccess(set)
	m.ShowLog(func() uint64 { return 0 })
	m.ShowTraces(func() uint64 { return 0 })
	m.ShowLogLimit(func() uint64 { return 0 })
	for _, listener := range []string{"private", "public"} {
		m.ShowConnections(listener, func() metrics.Connections { return metrics.Connections{} })
		m.ShowCertificate(listener, time.Now, func() uint64 { return 0 })
	}
	m.ShowReaders(readers{})
	m.ShowEdge(func() (metrics.EdgeLine, error) {
		return metrics.EdgeLine{Streams: []metrics.EdgeStream{{Stream: "JOBS"}, {Stream: "ATTEMPTS"}}}, nil
	})
	sealing := m.Sealing([]string{"JOBS", "ATTEMPTS", "ACTIONS"})
	for _, stream := range []string{"JOBS", "ATTEMPTS", "ACTIONS"} {
		sealing.Observe(stream, 1, 0, 0, 0, false, nil)
		sealing.Told(stream, "ANCHOR", 1, time.Now())
	}
	archives := m.Archives()
	archives.Observe("JOBS", time.Time{}, false)
	archives.Observe("ATTEMPTS", time.Time{}, false)
	m.ShowSinks([]string{"SINK"}, func(string) (metrics.SinkBacklog, error) { return metrics.SinkBacklog{}, nil })
	m.ShowStore(func() metrics.Embedded { return metrics.Embedded{} })
	m.ShowState([]string{"ok", "full", "restarting", "lost", "stream", "away"}, func() string { return "ok" })
	m.ShowRefused([]string{"connections", "flood", "room", "stranger"}, func(string) uint64 { return 0 })
	m.ShowRetryState(r, retries)
	m.ShowJobs(m.jobs)
	close(m.jobs.ready)
	return m
}

func keysOf(key *verify.Key, sources ...string) (all []keyusage.Key) {
	for _, source := range sources {
		all = append(all, keyusage.Key{Source: source, Name: key.Name(), Fingerprint: key.Fingerprint()})
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type store struct{}

func (store) Dropped() uint64  { return 0 }
func (store) Restored() uint64 { return 0 }
func (store) InFlight() int64  { return 3 }

type readers struct{}

func (readers) Open() int       { return 0 }
func (readers) Most() int       { return 0 }
func (readers) Refused() uint64 { return 0 }
func (readers) Cut() uint64     { return 0 }

// jobs is a list of jobs.
type jobs struct {
	ready  chan struct{}
	counts map[string]map[joblist.State]int
	last   map[string]time.Time
}

func (j *jobs) Ready() <-chan struct{} { return j.ready }

func (j *jobs) Counts() map[string]map[joblist.State]int {
	all := map[string]map[joblist.State]int{}
	for source, states := range j.counts {
		all[source] = states
	}
	return all
}

func (j *jobs) LastCallbacks() map[string]time.Time { return j.last }
