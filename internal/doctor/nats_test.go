package doctor_test

import (
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
	"receiver/internal/publish/schema"
)

func TestServer(t *testing.T) {
	server := func(version string, level int, used, limit int64) []doctor.Finding {
		return doctor.Server{URL: "nats://n:4222", Version: version, APILevel: level, StoreUsed: used, StoreLimit: limit}.Findings()
	}
	hold(t, []row{
		{"new", server("2.15.2", 5, 0, -1), doctor.OK, "with atomic batches", ""},
		{"the first with batches", server("2.12.0", 2, 0, 0), doctor.OK, "with atomic batches", ""},
		{"without batches", server("2.11.4", 1, 0, -1), doctor.Note, "does not support atomic batches", ""},
		{"the first that is mended", server("2.10.23", 0, 0, -1), doctor.Note, "does not support atomic batches", ""},
		{"loses streams", server("2.10.22", 0, 0, -1), doctor.Error, "can lose a stream", ""},
		{"older", server("2.9.25", 0, 0, -1), doctor.Error, "can lose a stream", ""},
		{"a candidate", server("v2.10.22-RC.1", 0, 0, -1), doctor.Error, "can lose a stream", ""},
		{"newer by major", server("3.0.0", 9, 0, -1), doctor.OK, "with atomic batches", ""},
		{"no version", server("devel", 5, 0, -1), doctor.OK, "with atomic batches", ""},
		{"with room", server("2.15.2", 5, 79<<30, 100<<30), doctor.OK, "with atomic batches", ""},
		{"tight", server("2.15.2", 5, 80<<30, 100<<30), doctor.Warning, "80 GiB of its limit of 100 GiB", ""},
		{"full", server("2.15.2", 5, 95<<30, 100<<30), doctor.Error, "95 GiB of its limit of 100 GiB", ""},
		{"not running", doctor.Server{Version: "2.15.2"}.Findings(), doctor.OK, "this program runs NATS 2.15.2", ""},
	})
}

func TestPayload(t *testing.T) {
	const body = 8 << 20
	hold(t, []row{
		{"enough", doctor.Payload(body+64<<10, body, false), doctor.OK, "and bodies 8 MiB", ""},
		{"one byte less", doctor.Payload(body+64<<10-1, body, false), doctor.Note, "callbacks may have 8 MiB", ""},
		{"NATS as it comes", doctor.Payload(1<<20, body, false), doctor.Note, "messages of 1 MiB", ""},
		{"ours", doctor.Payload(body, body, true), doctor.OK, "and bodies 8 MiB", ""},
		{"hopeless", doctor.Payload(64<<10-1, body, false), doctor.Error, "NATS accepts messages of at most", ""},
	})
	if f := doctor.Payload(1<<20, body, false)[0]; f.Change != "max_payload: 8454144 in nats-server.conf" {
		t.Errorf("the change is %q, want the exact line", f.Change)
	}
}

func TestStreams(t *testing.T) {
	stream := func(change func(*schema.StreamFacts)) []schema.StreamFacts {
		s := schema.StreamFacts{Name: "JOBS", Replicas: 1, MaxAge: 2160 * time.Hour}
		change(&s)
		return []schema.StreamFacts{s}
	}
	embedded := func(change func(*schema.StreamFacts)) []doctor.Finding {
		return doctor.Streams(stream(change), false, false)
	}
	clustered := func(change func(*schema.StreamFacts)) []doctor.Finding {
		return doctor.Streams(stream(change), true, true)
	}
	hold(t, []row{
		{"as made", embedded(func(*schema.StreamFacts) {}), doctor.OK, "keeps events for 90 days", ""},
		{"for ever", embedded(func(s *schema.StreamFacts) { s.MaxAge = 0 }), doctor.OK, "keeps events for ever", ""},
		{"as long as the platform repeats", embedded(func(s *schema.StreamFacts) { s.MaxAge = 73 * time.Hour }), doctor.OK, "keeps events for 3 days", ""},
		{"shorter than by the older page", embedded(func(s *schema.StreamFacts) { s.MaxAge = 72 * time.Hour }), doctor.Warning, "for only 3 days", "nats.jobs_max_age"},
		{"shorter than by today's", embedded(func(s *schema.StreamFacts) { s.MaxAge = 10 * time.Hour }), doctor.Error, "for only 10.0 h", "nats.jobs_max_age"},
		{"refused", embedded(func(s *schema.StreamFacts) { s.Breaking = []string{"max_bytes is 1, want unlimited"} }), doctor.Error, "no receiver starts with stream JOBS: max_bytes is 1", ""},
		{"otherwise", embedded(func(s *schema.StreamFacts) { s.Other = []string{"discard is new, want old"} }), doctor.Warning, "discard is new", ""},
		{"damaged", embedded(func(s *schema.StreamFacts) { s.Lost = 3 }), doctor.Error, "has lost 3 messages", ""},
		{"in memory", embedded(func(s *schema.StreamFacts) { s.Memory = true }), doctor.Error, "is kept in memory", ""},
		{"missing", embedded(func(s *schema.StreamFacts) { s.Missing = true }), doctor.Note, "missing streams: JOBS", ""},

		{"three copies", clustered(func(s *schema.StreamFacts) { s.Replicas = 3 }), doctor.OK, "on disk, 3 replicas", ""},
		{"two copies", clustered(func(s *schema.StreamFacts) { s.Replicas = 2 }), doctor.Warning, "has 2 replicas", "nats.replicas"},
		{"one copy of many", clustered(func(*schema.StreamFacts) {}), doctor.Warning, "on one server of the cluster", "nats.replicas"},
		{"one server", doctor.Streams(stream(func(*schema.StreamFacts) {}), false, true), doctor.Note, "NATS is a single server", ""},
		{"one away", clustered(func(s *schema.StreamFacts) { s.Replicas, s.Offline = 3, []string{"n2"} }), doctor.Warning, "are offline: n2", ""},
		{"one behind", clustered(func(s *schema.StreamFacts) { s.Replicas, s.Behind = 3, []string{"n2"} }), doctor.Note, "are behind: n2", ""},
	})
	// Records other than events may be dropped earlier.
	hold(t, []row{{"attempts", doctor.Streams([]schema.StreamFacts{{Name: "ATTEMPTS", Replicas: 1, MaxAge: time.Hour}}, false, false), doctor.OK, "", ""}})
}

func TestSync(t *testing.T) {
	hold(t, []row{
		{"ours, always", doctor.Sync{Always: true}.Findings(), doctor.OK, "before its callback is answered 200", ""},
		{"ours, sometimes", doctor.Sync{Interval: 2 * time.Minute}.Findings(), doctor.Warning, "only every 2m0s", "nats.sync"},
		{"theirs, always", doctor.Sync{Where: "n1", Always: true}.Findings(), doctor.OK, "n1 calls fsync before", ""},
		{"theirs, sometimes", doctor.Sync{Where: "n1", Interval: 2 * time.Minute}.Findings(), doctor.Warning, "n1 calls fsync only every 2m0s", ""},
		{"theirs, unknown", doctor.Sync{Where: "n1", Unknown: "no answer"}.Findings(), doctor.Warning, "unknown when n1 calls fsync: no answer", ""},
	})
	for _, s := range []doctor.Sync{{}, {Where: "n1"}, {Where: "n1", Unknown: "x"}} {
		if f := s.Findings()[0]; !strings.Contains(f.Why, "Jepsen") || !strings.Contains(f.Why, "2.12.1") || !strings.Contains(f.Change, "always") {
			t.Errorf("%+v does not name what Jepsen found and the way out", f)
		}
	}
}

func TestClock(t *testing.T) {
	before := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	after := before.Add(time.Second)
	clock := func(theirs time.Time) doctor.Clock {
		return doctor.Clock{Whose: "the platform", Theirs: theirs, Precision: time.Second, Before: before, After: after}
	}
	for _, tt := range []struct {
		theirs time.Duration // after before
		want   time.Duration
	}{
		{0, 0}, {time.Second, 0}, {-time.Second, 0}, {-3 * time.Second, -2 * time.Second}, {3 * time.Second, 2 * time.Second},
	} {
		if got := clock(before.Add(tt.theirs)).Skew(); got != tt.want {
			t.Errorf("Skew of a clock that shows %v after ours = %v, want %v at least", tt.theirs, got, tt.want)
		}
	}
	hold(t, []row{
		{"right", clock(before).Findings(), doctor.OK, "agree", ""},
		{"right enough", clock(before.Add(6 * time.Second)).Findings(), doctor.OK, "agree", ""},
		{"ahead", clock(before.Add(7 * time.Second)).Findings(), doctor.Warning, "the platform is 6s ahead of the clock of this machine", ""},
		{"behind", clock(before.Add(-61 * time.Second)).Findings(), doctor.Warning, "1m0s behind the clock of this machine", ""},
		{"wrong", clock(before.Add(-10 * time.Minute)).Findings(), doctor.Error, "9m59s behind the clock of this machine", ""},
		{"not told", doctor.Clock{Whose: "x", Before: before, After: after}.Findings(), doctor.OK, "", ""},
	})
}
