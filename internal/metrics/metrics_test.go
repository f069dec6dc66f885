package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"receiver/internal/callback"
	"receiver/internal/joblist"
	"receiver/internal/metrics"
)

// Prometheus's own linter finds nothing.
func TestLint(t *testing.T) {
	t.Parallel()
	families, err := full(t).Gatherer().Gather()
	must(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Callbacks, refusals and requests of strangers add no series to those of the start.
func TestEverySeriesIsThereFromTheStart(t *testing.T) {
	t.Parallel()
	m := full(t)
	before := series(m)
	for _, want := range []string{
		`receiver_callbacks_total{outcome="mismatch",source="erp"} 0`, `receiver_callbacks_total{outcome="unknown_source",source="_"} 0`,
		`receiver_verifications_total{fingerprint="` + m.key.Fingerprint() + `",key="2026-11",source="crm"} 0`,
		`receiver_callbacks_rejected_total{answer="Request Entity Too Large"} 0`, `receiver_callback_duration_seconds_count{authentic="true"} 0`,
		`receiver_watch_total{outcome="timeout",source="crm",what="look"} 0`, `receiver_submissions_total{outcome="platform-refused",source="crm"} 0`,
		`receiver_publish_duration_seconds_count{outcome="failed"} 0`, `receiver_publish_batch_messages_count 0`, `receiver_publish_in_flight 3`,
		`receiver_sink_posts_total{outcome="given_up",sink="SINK"} 0`, `receiver_audit_suspect_records_total{stream="JOBS"} 0`,
		`receiver_audit_unsealed_age_seconds{stream="JOBS"} 0`, `receiver_callback_last_authentic_timestamp_seconds{source="erp"} 0`,
		`receiver_api_requests_total{operation="submitJob",status="202"} 0`, `receiver_api_requests_total{operation="submitJob",status="503"} 0`,
		`receiver_jobs{source="erp",state="overdue"} 0`, `receiver_jobs{source="_",state="finished"} 0`,
	} {
		if !strings.Contains(text(m), want+"\n") {
			t.Errorf("at the start there is no %s", want)
		}
	}
	for _, source := range []string{"crm", "a-stranger's", "", "_"} {
		m.Callback(source, callback.Outcome{Kind: callback.Accepted, Key: m.key, Outside: true}, nil, time.Millisecond)
		m.Callback(source, callback.Outcome{Reason: "mismatch"}, callback.ErrUnauthorized, time.Millisecond)
		m.Callback(source, callback.Outcome{Key: m.key}, callback.ErrUnavailable, time.Millisecond)
	}
	m.Callback("a-stranger's", callback.Outcome{Reason: "unknown_source"}, callback.ErrUnauthorized, time.Millisecond)
	m.Rejected(http.StatusRequestEntityTooLarge)
	m.Watch("look", "crm", "timeout")
	m.Submission("crm", "platform-refused")
	m.Published(time.Millisecond, "failed")
	m.Batch(20)
	m.Request("submitJob", 202)
	m.Request(metrics.NoOperation, 404)
	for one := range series(m) {
		if !before[one] {
			t.Errorf("the series %s came later", one)
		}
	}
	for _, want := range []string{
		`receiver_callbacks_total{outcome="accepted",source="crm"} 1`, `receiver_callbacks_total{outcome="unavailable",source="crm"} 1`,
		`receiver_callbacks_total{outcome="unknown_source",source="_"} 1`, `receiver_verifications_outside_window_total{fingerprint="` + m.key.Fingerprint() + `",key="2026-11",source="crm"} 1`,
		`receiver_publish_batch_messages_sum 20`,
	} {
		if !strings.Contains(text(m), want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
}

// A reload that adds a source or key adds its series, and one that removes it ends them. The others
// count on.
func TestReloadsChangeTheSeries(t *testing.T) {
	t.Parallel()
	m := full(t)
	accepted := callback.Outcome{Kind: callback.Accepted, Key: m.key}
	m.Callback("crm", accepted, nil, time.Millisecond)
	m.Callback("erp", accepted, nil, time.Millisecond)
	next := keysOf(m.key, "crm", "new")
	next = append(next, next[0])
	next[2].Name, next[2].Fingerprint = "2027-01", "sha256:another"
	m.SetSources(next)
	got := text(m)
	for _, want := range []string{
		`receiver_callbacks_total{outcome="accepted",source="crm"} 1`, `receiver_callbacks_total{outcome="accepted",source="new"} 0`,
		`receiver_verifications_total{fingerprint="sha256:another",key="2027-01",source="crm"} 0`,
		`receiver_watch_total{outcome="running",source="new",what="look"} 0`, `receiver_jobs{source="new",state="lost"} 0`,
		`receiver_callback_last_authentic_timestamp_seconds{source="new"} 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("after a reload there is no %s", want)
		}
	}
	if strings.Contains(got, `source="erp"`) {
		t.Error("a source that was removed has series still")
	}
	if strings.Contains(got, `last_authentic_timestamp_seconds{source="crm"} 0`+"\n") {
		t.Error("a reload forgets the last callback of a source that stays")
	}
	m.SetSources(keysOf(m.key, "crm", "new"))
	if got := text(m); strings.Contains(got, "2027-01") || !strings.Contains(got, `receiver_callbacks_total{outcome="accepted",source="crm"} 1`) {
		t.Error("a key that was removed has series still, or its source counts no longer")
	}
	m.Callback("erp", accepted, nil, time.Millisecond) // was under way
	m.Watch("look", "erp", "running")
	m.SetSources(keysOf(m.key, "new"))
	for one := range series(m) {
		if strings.Contains(one, `source="erp"`) || strings.Contains(one, `source="crm"`) && !strings.Contains(one, "patience") {
			t.Errorf("the series %s of what was removed is there", one)
		}
	}
}

// The jobs are counted as the list counts them, once it is whole. It also tells of callbacks from
// before the start; a later one counts more.
func TestJobsComeFromTheList(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	noon := time.Unix(1_800_000_000, 0)
	list := &jobs{
		ready:  make(chan struct{}),
		counts: map[string]map[joblist.State]int{"crm": {joblist.Overdue: 2}, "former": {joblist.Finished: 5}, "former-too": {joblist.Finished: 1}},
		last:   map[string]time.Time{"crm": noon, "erp": noon, "former": noon},
	}
	key := full(t).key
	m.SetSources(keysOf(key, "crm", "erp"))
	m.ShowJobs(list)
	if got := text(m); strings.Contains(got, "receiver_jobs") || !strings.Contains(got, `receiver_callback_last_authentic_timestamp_seconds{source="crm"} 0`) {
		t.Error("jobs are shown before the list is whole")
	}
	m.Callback("erp", callback.Outcome{Kind: callback.Accepted, Key: key}, nil, time.Millisecond)
	close(list.ready)
	got := text(m)
	for _, want := range []string{
		`receiver_jobs{source="crm",state="overdue"} 2`, `receiver_jobs{source="erp",state="overdue"} 0`, `receiver_jobs{source="_",state="finished"} 6`,
		`receiver_callback_last_authentic_timestamp_seconds{source="crm"} 1.8e+09`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(got, "former") {
		t.Error("a source that is not configured is a label")
	}
	if time.Now().Before(noon) && !strings.Contains(got, `last_authentic_timestamp_seconds{source="erp"} 1.8e+09`) {
		t.Error("the newer time does not count")
	}
	m.SetSources(keysOf(key, "crm", "erp", "former"))
	if want := `receiver_callback_last_authentic_timestamp_seconds{source="former"} 1.8e+09`; !strings.Contains(text(m), want) {
		t.Errorf("of a source that was added there is no %s", want)
	}
}

// Publishing is a native histogram for scrapers that take it, and a classic one for all.
func TestPublishingHasBothHistograms(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	m.Published(3*time.Millisecond, "acknowledged")
	families, err := m.Gatherer().Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() != "receiver_publish_duration_seconds" {
			continue
		}
		for _, one := range f.GetMetric() {
			h := one.GetHistogram()
			if h.Schema == nil || len(h.GetBucket()) != 16 {
				t.Errorf("%v has schema %v and %d classic buckets, want both", one.GetLabel(), h.Schema, len(h.GetBucket()))
			}
		}
		return
	}
	t.Error("there is no receiver_publish_duration_seconds")
}

// The age of what is not sealed begins when it is first seen, goes on while nothing is sealed, and
// begins again when more was sealed.
func TestTheAgeOfUnsealedRecords(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	s := m.Sealing([]string{"JOBS"})
	age := func() string {
		return regexp.MustCompile(`receiver_audit_unsealed_age_seconds\{stream="JOBS"\} (\S+)`).FindStringSubmatch(text(m))[1]
	}
	if got := age(); got != "0" {
		t.Errorf("%s at the start", got)
	}
	s.Observe("JOBS", 5, 2, 0, 0, false, nil)
	first := age()
	s.Observe("JOBS", 5, 3, 0, 0, false, nil)
	if second := age(); first == "0" || first == second {
		t.Errorf("%s, and then %s, while nothing is sealed", first, second)
	}
	s.Observe("JOBS", 8, 0, 0, 0, false, nil)
	if got := age(); got != "0" {
		t.Errorf("%s when all is sealed", got)
	}
}

// A log says whether it was checked, and what each anchor has, if anything.
func TestLogsSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	s := m.Sealing([]string{"JOBS"})
	if l := s.Logs()[0]; l.Stream != "JOBS" || !l.Seen.IsZero() {
		t.Errorf("at the start: %+v", l)
	}
	s.Told("JOBS", "a", 0, time.Time{})
	if !strings.Contains(text(m), `receiver_audit_anchor_timestamp_seconds{anchor="a",stream="JOBS"} 0`) {
		t.Error("an anchor that has nothing has no series, so no alert")
	}
	s.Told("JOBS", "a", 4, time.Now())
	s.Observe("JOBS", 5, 2, 1, 0, false, nil)
	l := s.Logs()[0]
	if l.Sealed != 5 || l.Unsealed != 2 || l.Seen.IsZero() || !l.Whole.IsZero() || l.Suspect.IsZero() || len(l.Anchors) != 1 || l.Anchors[0].Records != 4 {
		t.Errorf("with unsealed records: %+v", l)
	}
	s.Observe("JOBS", 5, 0, 0, 0, true, errors.New("a fork"))
	if l := s.Logs()[0]; !l.Fork || !l.Failed || !l.Whole.IsZero() {
		t.Errorf("with a fork: %+v", l)
	}
}

// Posts that fail do so since the first after the last accepted one.
func TestSinksSayWhatIsKnown(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	if s := m.Sink("shop"); s.Unknown == nil {
		t.Error("a sink is known that has not begun")
	}
	count := m.ShowSinks([]string{"shop"}, func(string) (metrics.SinkBacklog, error) { return metrics.SinkBacklog{Retrying: 2, GivenUp: 3}, nil })
	count("shop", "failed")
	first := m.Sink("shop")
	count("shop", "failed")
	if s := m.Sink("shop"); s.Unknown != nil || s.Retrying != 2 || s.GivenUp != 3 || first.Failing.IsZero() || !s.Failing.Equal(first.Failing) || s.Failed.Before(first.Failed) {
		t.Errorf("after failures: %+v", s)
	}
	count("shop", "accepted")
	if s := m.Sink("shop"); !s.Failing.IsZero() || !s.Failed.IsZero() {
		t.Errorf("after an accepted one: %+v", s)
	}
}

// text returns what /metrics answers.
func text(m interface{ Handler() http.Handler }) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// series returns the names and labels of all series but those of Go and the process.
func series(m interface{ Handler() http.Handler }) map[string]bool {
	all := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^receiver_\w+(\{.*\})?`).FindAllString(text(m), -1) {
		all[found] = true
	}
	return all
}
