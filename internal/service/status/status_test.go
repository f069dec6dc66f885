package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/condition"
	"receiver/internal/joblist"
	"receiver/internal/metrics"
	"receiver/internal/service/status"
)

// A receiver that is not ready asks the store for nothing else, and one whose parts have not begun
// is not well.
func TestNoWrongGreen(t *testing.T) {
	t.Parallel()
	judge, err := callback.New(callback.Options{Store: nothing{}})
	if err != nil {
		t.Fatal(err)
	}
	jobs := joblist.NewProjection(joblist.Options{})
	for _, tt := range []struct {
		name   string
		change func(*status.Receiver)
		want   string // a condition; empty for none
	}{
		{"all is well", func(*status.Receiver) {}, ""},
		{"not ready", func(r *status.Receiver) { r.Ready = func(context.Context) error { return errors.New("starting") } }, "ReceiverCallbacksUnavailable"},
		{"away", func(r *status.Receiver) { r.Store = func() string { return "away" } }, "ReceiverStoreNotOK"},
		{"jobs are being read", func(r *status.Receiver) { r.Sources, r.Retries, r.Jobs = judge, callback.NewRetryState(), jobs }, "ReceiverJobsOverdue"},
		{"no key", func(r *status.Receiver) { r.Keyless = true }, "ReceiverNotSealed"},
		{"a log is not checked", func(r *status.Receiver) { r.Logs = r.Metrics.Sealing([]string{"JOBS"}).Logs }, "ReceiverUnsealedGrowing"},
		{"the free space is not known", func(r *status.Receiver) { r.Disk = func() condition.Disk { return condition.Disk{Free: -1} } }, "ReceiverDiskSpace"},
		{"a sink has not begun", func(r *status.Receiver) { r.Sinks = []string{"shop"} }, "ReceiverSinkFailing"},
		{"forwarding has not begun", func(r *status.Receiver) { r.Edge = true }, "ReceiverEdgeLinkDown"},
		{"a certificate is being ordered", func(r *status.Receiver) {
			r.Metrics.ShowCertificate("public", func() time.Time { return time.Unix(0, 0) }, func() uint64 { return 0 })
		}, "ReceiverCertificateExpired"},
	} {
		r := &status.Receiver{
			Started: time.Now(), Ready: func(context.Context) error { return nil }, Store: func() string { return "ok" }, Metrics: metrics.New(nil),
		}
		tt.change(r)
		s := r.Status(t.Context())
		if tt.want == "" && (s.Level != condition.OK || len(s.Conditions) != 0) {
			t.Errorf("%s: %+v", tt.name, s)
		}
		if tt.want != "" && (s.Level == condition.OK || len(s.Conditions) != 1 || s.Conditions[0].Name != tt.want) {
			t.Errorf("%s: %+v, want %s", tt.name, s, tt.want)
		}
	}
}

// Faults that a check of the logs found are not hidden by a status that says that all is well.
func TestACheckThatFoundFaultsIsSaid(t *testing.T) {
	t.Parallel()
	now := time.Now()
	found := api.Verification{State: "running", Logs: []api.LogCheck{{Origin: "receiver/demo/JOBS", Faults: make([]api.LogFault, 1), Omitted: 2, Time: now}}}
	r := &status.Receiver{
		Started: now, Ready: func(context.Context) error { return nil }, Store: func() string { return "ok" }, Metrics: metrics.New(nil),
		Logs: func() []condition.Log {
			return []condition.Log{{Stream: "JOBS", Seen: now}, {Stream: "ATTEMPTS", Seen: now}}
		},
		Check: func() api.Verification { return found },
	}
	s := r.Status(t.Context())
	if s.Level != condition.Error || len(s.Conditions) != 1 || !strings.Contains(s.Text, "stream JOBS, the check") || !strings.Contains(s.Text, "found 3 faults") {
		t.Errorf("%+v", s)
	}
}

// However many ask, the store is asked once in a while.
func TestTheStoreIsAskedOnce(t *testing.T) {
	t.Parallel()
	asked, backlogs := 0, 0
	m := metrics.New(nil)
	m.ShowSinks([]string{"shop"}, func(string) (metrics.SinkBacklog, error) {
		backlogs++
		return metrics.SinkBacklog{GivenUp: 1}, nil
	})
	r := &status.Receiver{Ready: func(context.Context) error { asked++; return nil }, Store: func() string { return "ok" }, Metrics: m, Sinks: []string{"shop"}}
	begun := time.Now()
	for range 1000 {
		if s := r.Status(t.Context()); s.Conditions[0].Name != "ReceiverSinkGivenUp" {
			t.Fatalf("%+v", s)
		}
	}
	if most := 1 + int(time.Since(begun)/time.Second); asked > most || backlogs > most {
		t.Errorf("1000 answers asked the store %d times whether it is ready, and %d times for a sink", asked, backlogs)
	}
}

type nothing struct{ callback.Store }
