package web

import "github.com/prometheus/client_golang/prometheus"

// newWatchCounter counts what is done to see jobs to their end.
func newWatchCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receiver_watch_total",
		Help: "Actions on jobs without a callback, or after one: look (a poll), overdue, lost, late, conflict, undecided, errors, confirm, release.",
	}, []string{"what", "source", "outcome"})
}

// Watch counts one thing that the watcher did.
func (m *Metrics) Watch(what, source, outcome string) {
	m.watch.WithLabelValues(what, source, outcome).Inc()
}
// newSubmissionCounter counts the answers to requests to submit.
func newSubmissionCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "receiver_submissions_total",
		Help: "Answers to requests to submit a job by the HTTP API: submitted, unknown, or the kind of problem.",
	}, []string{"source", "outcome"})
}

// Submission counts the answer to a request to submit.
func (m *Metrics) Submission(source, outcome string) {
	m.submissions.WithLabelValues(source, outcome).Inc()
}
