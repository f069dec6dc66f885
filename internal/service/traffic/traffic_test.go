package traffic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/traffic"
	"receiver/internal/verify"
)

func TestMain(m *testing.M) { natstest.Tests{M: m, AtOnce: 4}.Run() }

// started is a counter that runs, over a store.
func started(t testing.TB, bus *publish.Store, now func() time.Time) *traffic.Counter {
	t.Helper()
	c := traffic.New(bus, now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

// asked asks until nothing more is read, and what was stored before is counted.
func asked(t testing.TB, c *traffic.Counter, p api.GetTrafficParams) (got api.Traffic) {
	t.Helper()
	before, err := c.Traffic(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the counts are read", func() bool {
		if got, err = c.Traffic(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		return !got.Reading && !got.Until.Equal(before.Until) // of a reading that began since
	})
	return got
}

// sums are the counts of all minutes by verdict or reason.
func sums(got api.Traffic) map[string]int64 {
	all := map[string]int64{}
	for _, m := range got.Minutes {
		for verdict, n := range map[string]int64{
			"accepted": m.Accepted, "unrecognised": m.Unrecognised, "duplicate": m.Duplicate, "late": m.Late,
			"quarantined": m.Quarantined, "unconfirmed": m.Unconfirmed, "unrecorded": m.Unrecorded,
		} {
			if n > 0 {
				all[verdict] += n
			}
		}
		for reason, n := range m.Refused {
			all[reason] += n
		}
	}
	return all
}

func attempt(source, verdict string, repeats int) job.Attempt {
	a := natstest.Attempt(verdict)
	a.Source, a.Repeats = source, repeats
	if verdict == job.Late || verdict == job.Duplicate {
		a.Receipt.Key, a.Receipt.Fingerprint = "first", "sha256:00000001"
	}
	return a
}

func record(t testing.TB, bus *publish.Store, all ...job.Attempt) {
	t.Helper()
	for _, a := range all {
		if err := bus.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

// Every callback is counted once, by its verdict or reason, at its source; nothing else is.
func TestCallbacksAreCountedByVerdict(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	c := started(t, bus, nil)
	if got := asked(t, c, api.GetTrafficParams{}); !got.Complete || len(got.Minutes) != 0 {
		t.Errorf("of no callbacks: %+v", got)
	}
	natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	natstest.Store(t, bus, natstest.Called(job.Progress, "2", "RUNNING"))
	natstest.Store(t, bus, natstest.Unrecognised("x"))
	natstest.Store(t, bus, natstest.Event(job.Submitted, "3", "CREATED")) // came by no callback
	late := attempt("demo", job.Late, 0)
	ours := attempt("demo", job.Late, 0)
	ours.Receipt.Key, ours.Receipt.Fingerprint = "", "" // an answer to our own question
	record(t, bus, attempt("demo", job.Duplicate, 0), attempt("demo", job.Duplicate, 40), attempt("crm", job.Duplicate, 0), late, ours,
		attempt("demo", job.Quarantined, 0), attempt("demo", job.Unconfirmed, 0), attempt("demo", string(verify.Mismatch), 0),
		attempt("demo", callback.BadCredentials, 0), attempt(job.NoSource, job.UnknownSource, 0), attempt(job.NoSource, job.WrongPath, 0))
	for _, tt := range []struct {
		sources []string
		want    map[string]int64
	}{
		{nil, map[string]int64{
			"accepted": 2, "unrecognised": 1, "duplicate": 42, "late": 1, "quarantined": 1, "unconfirmed": 1,
			"mismatch": 1, "bad_credentials": 1, "unknown_source": 1, "wrong_path": 1,
		}},
		{[]string{"crm"}, map[string]int64{"duplicate": 1}},
		{[]string{"crm", job.NoSource}, map[string]int64{"duplicate": 1, "unknown_source": 1, "wrong_path": 1}},
		{[]string{"none"}, map[string]int64{}},
	} {
		if got := sums(asked(t, c, api.GetTrafficParams{Source: tt.sources})); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.sources, got, tt.want)
		}
	}
}

// Callbacks from before a restart, and those of another replica, are counted too; each once.
func TestCountsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	server := natstest.Start(t, folder)
	bus := natstest.Open(t, server)
	natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	record(t, bus, attempt("demo", "mismatch", 0))
	if got := sums(asked(t, started(t, bus, nil), api.GetTrafficParams{})); got["accepted"] != 1 || got["mismatch"] != 1 {
		t.Errorf("before: %v", got)
	}
	if err := bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()

	server = natstest.Start(t, folder)
	bus, other := natstest.Open(t, server), natstest.Open(t, server)
	c := started(t, bus, nil)
	for i := range 3 {
		if got := sums(asked(t, c, api.GetTrafficParams{})); got["accepted"] != int64(i+1) || got["mismatch"] != int64(i+1) {
			t.Errorf("with %d of another replica: %v", i, got)
		}
		natstest.Store(t, other, natstest.Called(job.Finished, fmt.Sprint(i+2), "COMPLETED"))
		record(t, other, attempt("demo", "mismatch", 0))
	}
}

// clock is a clock that a test sets.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// A request has whole minutes, from that of its since on, and none that is older.
func TestSinceIsAMinute(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	var at clock
	c := started(t, bus, at.now)
	stored := natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	minute := stored.Time.UTC().Truncate(time.Minute)
	for _, tt := range []struct {
		since time.Time
		want  int
	}{
		{minute, 1},
		{minute.Add(time.Minute - time.Nanosecond), 1}, // of the same minute
		{minute.Add(-time.Hour), 1},
		{minute.Add(time.Minute), 0},
	} {
		at.ahead.Store(int64(2 * time.Minute))
		got := asked(t, c, api.GetTrafficParams{Since: tt.since.Format(time.RFC3339Nano)})
		if !got.Complete || len(got.Minutes) != tt.want || !got.Since.Equal(tt.since.Truncate(time.Minute)) {
			t.Errorf("since %v: %+v, want %d", tt.since, got, tt.want)
		}
	}
	for _, since := range []string{"24h2m", "yesterday", "all", "-1h", time.Now().Add(time.Hour).Format(time.RFC3339)} {
		if _, err := c.Traffic(t.Context(), api.GetTrafficParams{Since: since}); err == nil {
			t.Errorf("since %s is no error", since)
		}
	}
	if got := asked(t, c, api.GetTrafficParams{Since: "24h"}); len(got.Minutes) != 1 {
		t.Errorf("since 24h: %+v", got)
	}
	// A day later nothing is left, and what comes when the clock is set back is counted again.
	at.ahead.Store(int64(49 * time.Hour))
	if got := asked(t, c, api.GetTrafficParams{Since: "24h"}); len(got.Minutes) != 0 {
		t.Errorf("two days later: %+v", got.Minutes)
	}
	at.ahead.Store(-int64(30 * time.Minute))
	natstest.Store(t, bus, natstest.Called(job.Finished, "2", "COMPLETED"))
	if got := asked(t, c, api.GetTrafficParams{Since: "1h"}); sums(got)["accepted"] == 0 {
		t.Errorf("after the clock was set back: %+v", got)
	}
}

// A flood of refusals pushes records out of ATTEMPTS: the answer says from when on the counts are
// whole, and leaves out what is not.
func TestWhatIsGoneIsNotCountedAsNothing(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	record(t, bus, attempt("demo", "mismatch", 0), attempt("demo", "mismatch", 0), attempt("demo", "mismatch", 0))
	seen := started(t, bus, nil)
	if got := asked(t, seen, api.GetTrafficParams{}); !got.Complete || sums(got)["mismatch"] != 3 {
		t.Errorf("before: %+v", got)
	}
	natstest.Must(t, natstest.Drop(t.Context(), bus, conn.AttemptsStream, 3))
	if got := asked(t, seen, api.GetTrafficParams{}); !got.Complete || sums(got)["mismatch"] != 3 {
		t.Errorf("what was counted: %+v", got)
	}
	extent := natstest.ExtentOf(t, bus, conn.AttemptsStream)
	got := asked(t, started(t, bus, nil), api.GetTrafficParams{})
	if got.Complete || got.From.Before(extent.Oldest) || got.From.Sub(extent.Oldest) > time.Minute {
		t.Errorf("anew: %+v, want one that is whole from %v on", got, extent.Oldest)
	}
	for _, m := range got.Minutes {
		if m.Minute.Before(got.From) {
			t.Errorf("anew: %+v is before %v", m, got.From)
		}
	}
	natstest.Must(t, natstest.Drop(t.Context(), bus, conn.AttemptsStream, 4))
	before := time.Now()
	got = asked(t, started(t, bus, nil), api.GetTrafficParams{})
	if got.Complete || got.Reading || got.From.Before(before) || len(got.Minutes) != 0 {
		t.Errorf("all of it is gone: %+v, want counts from %v on", got, before)
	}
}

// A stream that was made anew is counted anew.
func TestAStreamMadeAnewIsCountedAnew(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	c := started(t, bus, nil)
	record(t, bus, attempt("demo", "mismatch", 0), attempt("demo", "mismatch", 0))
	if got := sums(asked(t, c, api.GetTrafficParams{})); got["mismatch"] != 2 {
		t.Errorf("before: %v", got)
	}
	js := bus.JetStream()
	s, err := js.Stream(t.Context(), conn.AttemptsStream)
	natstest.Must(t, err)
	cfg := s.CachedInfo().Config
	natstest.Must(t, js.DeleteStream(t.Context(), conn.AttemptsStream))
	_, err = js.CreateStream(t.Context(), cfg)
	natstest.Must(t, err)
	record(t, bus, attempt("demo", "missing", 0), attempt("demo", "missing", 0), attempt("demo", "missing", 0))
	if got := sums(asked(t, c, api.GetTrafficParams{})); !reflect.DeepEqual(got, map[string]int64{"missing": 3}) {
		t.Errorf("after: %v", got)
	}
}

// Refusals that are dropped are counted, whatever there are of them, and only where all sources are
// asked for.
func TestRefusalsThatAreNotRecordedAreCounted(t *testing.T) {
	t.Parallel()
	bus := natstest.OpenWith(t, natstest.Start(t, t.TempDir()), conn.Options{Timeout: natstest.LongTimeout, AttemptQueue: 1, AttemptRate: 1})
	c := started(t, bus, nil)
	for range 1000 {
		bus.Offer(func() job.Attempt { return attempt("demo", "mismatch", 0) })
	}
	if got := sums(asked(t, c, api.GetTrafficParams{}))["unrecorded"]; got == 0 || got != int64(bus.Dropped()) {
		t.Errorf("%d unrecorded, want %d", got, bus.Dropped())
	}
	if got := sums(asked(t, c, api.GetTrafficParams{Source: []string{"demo"}}))["unrecorded"]; got != 0 {
		t.Errorf("%d unrecorded at one source", got)
	}
}

// A start and a reload are marked, each kind once a minute; a change of keys names them.
func TestMarks(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	act := func(what string, keys ...string) {
		details, err := json.Marshal(map[string]any{"keys": keys})
		natstest.Must(t, err)
		_, err = bus.Act(t.Context(), job.Action{What: what, Time: time.Now(), Details: details})
		natstest.Must(t, err)
	}
	act(job.ActionStart, "demo/first a", "crm/old b")
	before := time.Now()
	act(job.ActionUse)
	act(job.ActionReload, "demo/first a", "crm/new c")
	act(job.ActionReload, "demo/first a", "crm/new c")
	act(job.ActionStart, "demo/first a")
	c := started(t, bus, nil)
	type mark struct {
		kind           string
		count          int
		added, removed []string
	}
	marks := func(c *traffic.Counter) (all []mark) {
		for _, m := range asked(t, c, api.GetTrafficParams{Since: "24h"}).Marks {
			all = append(all, mark{m.Kind, m.Count, m.Added, m.Removed})
		}
		return all
	}
	want := []mark{
		{"start", 2, nil, []string{"crm/new c"}},
		{"keys", 1, []string{"crm/new c"}, []string{"crm/old b"}}, {"reload", 1, nil, nil},
	}
	sameMinute := func() bool { return before.Truncate(time.Minute).Equal(time.Now().Truncate(time.Minute)) }
	if got := marks(c); sameMinute() && !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	act(job.ActionReload, "demo/second d")
	if got := marks(c); sameMinute() && !slices.Equal(got[1].added, []string{"crm/new c", "demo/second d"}) {
		t.Errorf("a reload that came: %v", got)
	}
}
