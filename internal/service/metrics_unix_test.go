//go:build unix

package service_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/natstest"
)

// The figures of a running receiver are all there before anything happens, and what happens adds no
// series. After a restart the store tells when the last callback came.
func TestMetricsOfARunningReceiver(t *testing.T) {
	t.Parallel()
	cfg := installed(t)
	scrape := func() string {
		_, text := ask(t, cfg, "/metrics")
		return text
	}
	series := func() map[string]bool {
		all := map[string]bool{}
		for _, one := range regexp.MustCompile(`(?m)^receiver_\w+(\{.*\})?`).FindAllString(scrape(), -1) {
			all[one] = true
		}
		return all
	}
	whole := func() bool {
		text := scrape()
		return strings.Contains(text, "receiver_jobs{") && strings.Contains(text, `receiver_audit_unarchived_due{stream="ATTEMPTS"}`) &&
			strings.Count(text, "receiver_audit_sealed_records{") == 3
	}
	in := started(t, cfg)
	natstest.Eventually(t, "the list of jobs and the first sealing", whole)
	before := series()
	for i, body := range []string{`{"id":"7","status":"RUNNING"}`, `{"id":"7","status":"COMPLETED"}`, `{"id":"7","status":"COMPLETED"}`, "no job", "[]"} {
		if !call(t.Context(), in, cfg, body) {
			t.Fatalf("callback %d is not stored", i)
		}
	}
	for i := range 20 {
		answer, err := http.Post(in.PublicURL()+fmt.Sprintf("/callbacks/made-up-%d", i), "text/plain", strings.NewReader("x"))
		natstest.Must(t, err)
		natstest.Must(t, answer.Body.Close())
		ask(t, cfg, fmt.Sprintf("/v1/sources/made-up-%d/jobs/1", i))
	}
	natstest.Eventually(t, "the job in the metrics", func() bool {
		return strings.Contains(scrape(), `receiver_jobs{source="demo",state="finished"} 1`+"\n")
	})
	for one := range series() {
		if !before[one] {
			t.Errorf("the series %s came later", one)
		}
	}
	text := scrape()
	for _, want := range []string{
		`receiver_callbacks_total{outcome="duplicate",source="demo"} 1`, `receiver_callbacks_total{outcome="unrecognised",source="demo"} 2`,
		`receiver_callbacks_total{outcome="unknown_source",source="_"} 20`, `receiver_api_requests_total{operation="getJob",status="404"} 20`,
		`receiver_publish_in_flight 0`, `receiver_publish_duration_seconds_count{outcome="failed"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if !regexp.MustCompile(`receiver_publish_duration_seconds_count\{outcome="acknowledged"\} [1-9]`).MatchString(text) {
		t.Error("nothing is counted as published")
	}
	natstest.Must(t, in.Stop())

	in = started(t, cfg)
	defer func() { natstest.Must(t, in.Stop()) }()
	natstest.Eventually(t, "the list of jobs", whole)
	if got := scrape(); !strings.Contains(got, `receiver_callbacks_total{outcome="accepted",source="demo"} 0`) ||
		!strings.Contains(got, `receiver_callback_last_authentic_timestamp_seconds{source="demo"} 1.`) {
		t.Error("after a restart the time of the last callback is not known")
	}
}
