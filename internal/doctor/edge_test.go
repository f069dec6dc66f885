package doctor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
	"receiver/internal/publish/schema"
)

func TestLinkToTheHub(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	whole := []schema.StreamFacts{{Name: "JOBS"}, {Name: "ATTEMPTS"}}
	waiting := []doctor.Behind{{Stream: "JOBS", Records: 7, Oldest: now.Add(-2 * time.Hour)}, {Stream: "ATTEMPTS"}}
	for _, tt := range []struct {
		name string
		edge doctor.Edge
		want doctor.Severity
		says string
	}{
		{"well", doctor.Edge{Hub: whole, Behind: []doctor.Behind{{Stream: "JOBS"}}}, doctor.OK, "all records are at the hub"},
		{"busy", doctor.Edge{Hub: whole, Behind: []doctor.Behind{{Stream: "JOBS", Records: 1, Oldest: now}}}, doctor.OK, "1 record of JOBS"},
		{"cut", doctor.Edge{Err: errors.New("no responders"), Behind: waiting}, doctor.Warning, "the hub does not answer: no responders"},
		{"cut, what waits", doctor.Edge{Err: errors.New("no responders"), Behind: waiting}, doctor.Warning, "7 records of JOBS, the oldest waiting for 2.0 h"},
		{"stuck", doctor.Edge{Hub: whole, Behind: waiting}, doctor.Warning, "7 records of JOBS"},
		{"no stream", doctor.Edge{Hub: []schema.StreamFacts{{Name: "JOBS", Missing: true}}}, doctor.Warning, "no stream JOBS"},
		{"a stream that drops", doctor.Edge{Hub: []schema.StreamFacts{{Name: "JOBS", Breaking: []string{"max_msgs is 10"}}}}, doctor.Error, "max_msgs is 10"},
		{"other limits", doctor.Edge{Hub: []schema.StreamFacts{{Name: "JOBS", Other: []string{"num_replicas is 3"}}}}, doctor.Note, "num_replicas is 3"},
		{"stopped", doctor.Edge{Stopped: true}, doctor.Note, "no receiver runs here"},
	} {
		found := tt.edge.Findings(now)
		if got := doctor.Worst(found); got != tt.want {
			t.Errorf("%s: worst finding is %v, want %v", tt.name, got, tt.want)
		}
		var all []string
		for _, f := range found {
			all = append(all, f.What)
		}
		if text := strings.Join(all, "\n"); !strings.Contains(text, tt.says) {
			t.Errorf("%s: findings %q do not say %q", tt.name, text, tt.says)
		}
	}
}
