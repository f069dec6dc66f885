package condition_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"receiver/internal/callback"
	"receiver/internal/condition"
	"receiver/internal/runbook"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// well are the facts of a receiver with all parts that there can be, of which nothing is wrong.
func well() condition.Facts {
	return condition.Facts{
		Now: now, Started: before(48 * time.Hour), Store: "ok", Disk: &condition.Disk{Free: 68 << 30},
		Sources: []condition.Source{
			{Name: "crm", Standing: callback.Standing{AttemptsLeft: 5}, Authentic: before(12 * time.Second)},
			{Name: "erp", Standing: callback.Standing{AttemptsLeft: 5}, Authentic: before(time.Hour)},
			{Name: "new", Standing: callback.Standing{AttemptsLeft: 5}},
		},
		Logs: []condition.Log{
			{Stream: "JOBS", Sealed: 5, Seen: before(time.Second), Whole: before(time.Second), Anchors: []condition.Anchor{{Name: "a", Records: 5, At: before(3 * time.Hour)}}},
			{Stream: "ATTEMPTS", Sealed: 5, Unsealed: 2, Seen: now, Whole: before(time.Minute), Since: before(time.Minute)},
		},
		Certificates: []condition.Certificate{{Listener: "public", Ends: now.Add(60 * 24 * time.Hour)}},
		Sinks:        []condition.Sink{{Name: "shop"}},
		Edge:         &condition.Edge{Up: true, Behind: []condition.Behind{{Stream: "JOBS"}}},
	}
}

func TestNothingIsWrong(t *testing.T) {
	t.Parallel()
	s := condition.Of(well())
	if want := "Receiving. Last authentic callback 12 s ago (crm). NATS ok, sealed 60 s ago, disk 68 GiB free."; s.Text != want || s.Level != condition.OK {
		t.Errorf("%s: %q, want %q", s.Level, s.Text, want)
	}
	f := well()
	f.Sources[1].Authentic = now.Add(time.Hour)
	if s := condition.Of(f); !strings.Contains(s.Text, "60 min in the future: a clock was wrong (erp)") {
		t.Errorf("after the clock was set back: %s", s.Text)
	}
	if !s.Ready || s.LastAuthentic.Source != "crm" || s.Unsealed != 2 || !s.SealedAt.Equal(before(time.Minute)) || *s.DiskFree != 68<<30 || s.Conditions == nil || len(s.Conditions) != 0 {
		t.Errorf("the members are %+v", s)
	}
	cluster := well()
	cluster.Disk, cluster.Sources = nil, nil
	if s := condition.Of(cluster); s.Text != "Receiving. No authentic callback is known yet. NATS ok, sealed 60 s ago." || s.DiskFree != nil {
		t.Errorf("with a cluster, without callbacks: %q", s.Text)
	}
}

// Each row changes one fact; beside is the same fact just within the limit.
func TestConditions(t *testing.T) {
	t.Parallel()
	full := errors.New("12 MiB of the disk are free")
	standing := func(change func(*callback.Standing)) func(*condition.Facts) {
		return func(f *condition.Facts) { change(&f.Sources[0].Standing) }
	}
	fails := func(reason string, refused, accepted time.Duration) func(*condition.Facts) {
		return standing(func(s *callback.Standing) {
			s.InARow, s.Reason, s.Refused, s.Accepted = 3, reason, before(refused), before(accepted)
		})
	}
	first := func(change func(*condition.Log)) func(*condition.Facts) {
		return func(f *condition.Facts) { change(&f.Logs[0]) }
	}
	ends := func(d time.Duration) func(*condition.Facts) {
		return func(f *condition.Facts) { f.Certificates[0].Ends = now.Add(d) }
	}
	sink := func(change func(*condition.Sink)) func(*condition.Facts) {
		return func(f *condition.Facts) { change(&f.Sinks[0]) }
	}
	posts := func(failing, failed time.Duration) func(*condition.Facts) {
		return sink(func(s *condition.Sink) { s.Retrying, s.Failing, s.Failed = 2, before(failing), before(failed) })
	}
	const minute, hour, day = time.Minute, time.Hour, 24 * time.Hour
	for _, tt := range []struct {
		name   string
		change func(*condition.Facts)
		beside func(*condition.Facts) // nil if there is none
		want   string                 // of the text
		level  condition.Level
	}{
		{"ReceiverStoreFull", func(f *condition.Facts) { f.Disk.Refuses, f.Store, f.NotReady = full, "full", full }, nil, "The embedded store takes no writes, and callbacks are answered 503: 12 MiB of the disk are free.", condition.Error},
		{"ReceiverStoreNotOK", func(f *condition.Facts) { f.Store, f.NotReady = "stream", errors.New("JOBS is missing") }, nil, "stream: JOBS is missing.", condition.Error},
		{"ReceiverStoreNotOK", func(f *condition.Facts) { f.Store = "away" }, nil, ": away.", condition.Error},
		{"ReceiverCallbacksUnavailable", func(f *condition.Facts) { f.NotReady = errors.New("the receiver is starting") }, nil, "the receiver is starting.", condition.Error},
		{"ReceiverDiskSpace", func(f *condition.Facts) { f.Disk.Free = 1<<30 - 1<<20 }, func(f *condition.Facts) { f.Disk.Free = 1 << 30 }, ": 1023 MiB free.", condition.Warning},
		{"ReceiverDiskSpace", func(f *condition.Facts) { f.Disk.Free = -1 }, nil, "not known", condition.Warning},
		{"ReceiverRetriesLeft", standing(func(s *callback.Standing) { s.Failing, s.AttemptsLeft, s.NextRetry = 1, 2, now.Add(hour) }),
			nil, "source crm, 2 left, the next in 60 min.", condition.Error},
		{"ReceiverCallbacksFailing", standing(func(s *callback.Standing) { s.Failing, s.AttemptsLeft, s.Reason = 1, 3, "mismatch" }), nil, "source crm, 1 callback, reason mismatch.", condition.Warning},
		{"ReceiverCallbacksGivenUp", standing(func(s *callback.Standing) { s.GivenUp, s.AttemptsLeft = 2, 0 }), nil, "source crm, 2 callbacks.", condition.Error},
		{"ReceiverNothingAccepted", fails("mismatch", minute, 16*minute), fails("mismatch", minute, 14*minute), "source crm, 3 in a row, reason mismatch.", condition.Warning},
		{"ReceiverNothingAccepted", fails("mismatch", 14*minute, 20*minute), fails("mismatch", 16*minute, 20*minute), "source crm", condition.Warning},
		{"ReceiverCallbacksUnavailable", fails("unavailable", 4*minute, minute), fails("unavailable", 6*minute, minute), "source crm, 4 min ago.", condition.Error},
		{"ReceiverCallbacksUnavailable", fails("Service Unavailable", minute, minute), nil, "source crm", condition.Error},
		{"ReceiverJobsOverdue", func(f *condition.Facts) { f.Sources[1].Overdue = 1 }, nil, "source erp, 1 job.", condition.Warning},
		{"ReceiverJobsOverdue", func(f *condition.Facts) { f.JobsUnknown = true }, nil, "is being read", condition.Warning},
		{"ReceiverJobsLost", func(f *condition.Facts) { f.Sources[1].Lost = before(5 * hour) }, func(f *condition.Facts) { f.Sources[1].Lost = before(7 * hour) }, "source erp, the last 5 h ago.", condition.Warning},
		{"ReceiverNotSealed", func(f *condition.Facts) { f.Unsealed, f.Logs = true, nil }, nil, "audit.key", condition.Warning},
		{"ReceiverLogFork", first(func(l *condition.Log) { l.Fork = true }), nil, "stream JOBS.", condition.Error},
		{"ReceiverUnsealedGrowing", first(func(l *condition.Log) { l.Unsealed, l.Since = 7, before(11*minute) }), first(func(l *condition.Log) { l.Unsealed, l.Since = 7, before(9*minute) }), "stream JOBS, 7 records since 11 min", condition.Warning},
		{"ReceiverUnsealedGrowing", first(func(l *condition.Log) { l.Seen = time.Time{} }), nil, "not checked", condition.Warning},
		{"ReceiverUnsealedGrowing", first(func(l *condition.Log) { l.Failed, l.Seen = true, before(11*minute) }), first(func(l *condition.Log) { l.Failed, l.Seen = true, before(9*minute) }), "fails since 11 min", condition.Warning},
		{"ReceiverSuspectRecords", first(func(l *condition.Log) { l.Faults, l.Checked = 2, before(40*hour) }), first(func(l *condition.Log) { l.Checked = before(hour) }), "stream JOBS, the check 40 h ago found 2 faults.", condition.Error},
		// A sealing that hangs tells nothing, not that it failed either.
		{"ReceiverUnsealedGrowing", first(func(l *condition.Log) { l.Seen = before(11 * minute) }), first(func(l *condition.Log) { l.Seen = before(9 * minute) }), "stream JOBS was last checked 11 min ago", condition.Warning},
		{"ReceiverSuspectRecords", first(func(l *condition.Log) { l.Suspect = before(23 * hour) }), first(func(l *condition.Log) { l.Suspect = before(25 * hour) }), "stream JOBS", condition.Error},
		{"ReceiverAnchorBehind", first(func(l *condition.Log) { l.Sealed = 9 }), first(func(l *condition.Log) { l.Sealed, l.Anchors[0].At = 9, before(hour) }), "anchor a, stream JOBS, 4 records missing.", condition.Warning},
		{"ReceiverAnchorBehind", func(f *condition.Facts) {
			f.Logs[0].Anchors[0] = condition.Anchor{Name: "a"}
			f.Started = before(16 * minute)
		},
			func(f *condition.Facts) {
				f.Logs[0].Anchors[0] = condition.Anchor{Name: "a"}
				f.Started = before(14 * minute)
			}, "5 records missing.", condition.Warning},
		{"ReceiverCertificateExpires", ends(13 * day), ends(15 * day), "public listener, 13 days left.", condition.Warning},
		{"ReceiverCertificateExpired", ends(23 * hour), ends(25 * hour), "public listener, 23 h left.", condition.Error},
		{"ReceiverCertificateExpired", ends(-hour), nil, "it ended 60 min ago.", condition.Error},
		{"ReceiverCertificateExpired", func(f *condition.Facts) { f.Certificates[0].Ends = time.Unix(0, 0) }, nil, "the public listener has none yet.", condition.Error},
		{"ReceiverSinkGivenUp", sink(func(s *condition.Sink) { s.GivenUp = 3 }), nil, "sink shop, 3 events.", condition.Error},
		{"ReceiverSinkFailing", posts(61*minute, minute), posts(59*minute, minute), "sink shop, 2 jobs posted again.", condition.Warning},
		{"ReceiverSinkFailing", func(f *condition.Facts) { f.Started = before(minute); posts(minute, 0)(f) }, posts(3*hour, 2*hour), "sink shop", condition.Warning},
		{"ReceiverSinkFailing", sink(func(s *condition.Sink) { s.Unknown = errors.New("no answer") }), nil, "not known: no answer.", condition.Warning},
		{"ReceiverEdgeLinkDown", func(f *condition.Facts) { f.Edge.Up = false }, nil, "the link is down.", condition.Warning},
		{"ReceiverEdgeLinkDown", func(f *condition.Facts) { f.Edge = &condition.Edge{Unknown: errors.New("no answer")} }, nil, "not known: no answer.", condition.Warning},
		{"ReceiverEdgeBehind", func(f *condition.Facts) {
			f.Edge.Behind[0] = condition.Behind{Stream: "JOBS", Records: 4, Oldest: before(16 * minute)}
		},
			func(f *condition.Facts) { f.Edge.Behind[0].Oldest = before(14 * minute) }, "stream JOBS, 4 records, the oldest 16 min ago.", condition.Warning},
	} {
		f := well()
		tt.change(&f)
		s := condition.Of(f)
		if len(s.Conditions) != 1 || s.Conditions[0].Name != tt.name || s.Level != tt.level || !strings.Contains(s.Text, tt.want) {
			t.Errorf("%s: %s %q, want %s … %s; conditions %+v", tt.name, s.Level, s.Text, tt.level, tt.want, s.Conditions)
			continue
		}
		checkCondition(t, s.Conditions[0])
		if tt.beside != nil {
			f := well()
			tt.beside(&f)
			for _, c := range condition.Of(f).Conditions {
				if c.Name == tt.name {
					t.Errorf("%s is there within its limit: %q", tt.name, c.Text)
				}
			}
		}
	}
}

// checkCondition holds that a condition is an alert, is as grave, and begins as its runbook does.
func checkCondition(t *testing.T, c condition.Condition) {
	t.Helper()
	if meaning := runbook.Meaning(c.Name); meaning == "" || !strings.HasPrefix(c.Text, meaning+": ") || strings.ContainsAny(meaning, "[`*") {
		t.Errorf("%s begins not as its runbook, %q: %q", c.Name, meaning, c.Text)
	}
	want := map[string]condition.Level{"critical": condition.Error, "warning": condition.Warning}[severities(t)[c.Name]]
	if c.Level != want {
		t.Errorf("%s is a %s, want %s as the alert", c.Name, c.Level, want)
	}
}

func severities(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Labels["severity"]
		}
	}
	return all
}

// The worst comes first, whatever its place.
func TestTheWorstComesFirst(t *testing.T) {
	t.Parallel()
	f := well()
	f.Disk.Free, f.Sinks[0].GivenUp, f.Sources[0].Standing.GivenUp = 0, 1, 1
	s := condition.Of(f)
	var names []string
	for _, c := range s.Conditions {
		names = append(names, c.Name)
	}
	if got, want := strings.Join(names, " "), "ReceiverCallbacksGivenUp ReceiverSinkGivenUp ReceiverDiskSpace"; got != want || s.Conditions[0].Source != "crm" {
		t.Errorf("%s, want %s", got, want)
	}
	if f.NotReady == nil && (s.Level != condition.Error || !s.Ready) {
		t.Errorf("%s, ready %v", s.Level, s.Ready)
	}
}
