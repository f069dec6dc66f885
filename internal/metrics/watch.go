package metrics

import (
	"receiver/api"
	"receiver/internal/job"
)

// unanswered are the outcomes of a poll to which the platform gave no usable answer.
var unanswered = []string{"no_secrets", "unauthorized", "not_found", "too_many", "timeout", "unreachable", "unreadable"}

// watched are the outcomes of each action on a job.
var watched = map[string][]string{
	"look":      append([]string{"running", "finished", "undecided", "unknown"}, unanswered...),
	"overdue":   {"answered", "unanswered"},
	"lost":      {"answered", "unanswered"},
	"late":      {"poll"},
	"conflict":  {string(job.ByCallback), string(job.ByPoll), string(job.ByVendorQueue), string(job.ByReverify)},
	"undecided": {string(job.ByCallback), string(job.ByPoll), string(job.ByVendorQueue), string(job.ByReverify)},
	"errors":    append([]string{"published", "gone"}, unanswered...),
	"confirm":   {"confirmed", "different", "unanswered", "busy", "repeated"},
	"release":   {string(job.Progress), string(job.Finished), string(job.Conflict)},
}

// submitted are the outcomes of a request to submit.
func submitted() []string {
	all := []string{string(job.SubmissionSubmitted), string(job.SubmissionUnknown)}
	for _, k := range []api.ProblemKind{
		api.BadRequest, api.TooLarge, api.Busy, api.KeyReused, api.UnknownAtPlatform, api.PlatformRefused, api.PlatformFailed, api.Unavailable, api.NotConfigured,
	} {
		all = append(all, k.Name())
	}
	return all
}

func (m *Metrics) makeWatch() {
	m.watch = m.vector("receiver_watch_total",
		"Actions on jobs without a callback, or after one: look (a poll), overdue, lost, late, conflict, undecided, errors, confirm, release.", "what", "source", "outcome")
	m.submissions = m.vector("receiver_submissions_total",
		"Answers to requests to submit a job by the HTTP API: submitted, unknown, or the kind of problem.", "source", "outcome")
}

// startWatch has the series of a source exist.
func (m *Metrics) startWatch(source string) {
	for what, outcomes := range watched {
		for _, outcome := range outcomes {
			m.watch.WithLabelValues(what, source, outcome)
		}
	}
	for _, outcome := range submitted() {
		m.submissions.WithLabelValues(source, outcome)
	}
}

// Watch counts one thing that the watcher did.
func (m *Metrics) Watch(what, source, outcome string) {
	m.watch.WithLabelValues(what, m.source(source), outcome).Inc()
}

// Submission counts the answer to a request to submit.
func (m *Metrics) Submission(source, outcome string) {
	m.submissions.WithLabelValues(m.source(source), outcome).Inc()
}
