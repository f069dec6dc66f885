package metrics_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"receiver/internal/metrics"
)

func TestMetricsOfTheLinkToTheHub(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	line, failing := metrics.EdgeLine{Streams: []metrics.EdgeStream{
		{Stream: "JOBS", Behind: 3, Oldest: time.Now().Add(-time.Hour), Sent: 7, Repeated: 2},
		{Stream: "ATTEMPTS", Missed: 5},
	}}, error(nil)
	m.ShowEdge(func() (metrics.EdgeLine, error) { return line, failing })
	got := text(m)
	for _, want := range []string{
		"receiver_edge_line_up 0\n", `receiver_edge_behind_records{stream="JOBS"} 3`, `receiver_edge_behind_seconds{stream="JOBS"} 3600.`,
		`receiver_edge_behind_seconds{stream="ATTEMPTS"} 0`, `receiver_edge_forwarded_total{stream="JOBS"} 7`,
		`receiver_edge_repeated_total{stream="JOBS"} 2`, `receiver_edge_missed_total{stream="ATTEMPTS"} 5`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the metrics do not show %q", want)
		}
	}
	line.Up = true
	if got := text(m); !strings.Contains(got, "receiver_edge_line_up 1\n") {
		t.Error("the metrics do not show a line that is up")
	}
	failing = errors.New("no answer")
	if got := text(m); strings.Contains(got, "receiver_edge_") {
		t.Error("the metrics show figures that are not known")
	}
}
