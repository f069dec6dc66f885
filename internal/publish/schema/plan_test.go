package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

var migration = job.Action{What: job.ActionStreams, Operator: "tester"}

func TestPlanOfStreamsAsConfiguredIsEmpty(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := natstest.Start(t, folder)
	b := natstest.Open(t, s)
	for _, make := range []func() error{
		func() error { _, err := b.Tiles(t.Context()); return err },
		func() error { _, err := b.Checkpoints(t.Context(), "receiver", conn.JobsStream); return err },
		func() error { _, err := b.Lease(t.Context(), "one"); return err },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	for name, survey := range map[string]func() (*schema.Survey, error){
		"inside":  func() (*schema.Survey, error) { return natstest.Survey(t, s, conn.Options{}) },
		"outside": func() (*schema.Survey, error) { return natstest.SurveyFolder(t, folder) },
	} {
		got := plan(t, surveyed(t, survey))
		var seen []string
		for _, stream := range got.Streams {
			seen = append(seen, stream.Stream)
			if stream.Missing || len(stream.Changes) > 0 {
				t.Errorf("%s: Plan has %+v, want nothing to do", name, stream)
			}
		}
		for _, want := range []string{"JOBS", "ATTEMPTS", "WATCH", "SUBMISSIONS", "REPLAYS", "ACTIONS", "CHECKPOINTS", "OBJ_TILES", "KV_LEASES"} {
			if !strings.Contains(strings.Join(seen, " "), want) {
				t.Errorf("%s: Plan is about %v, want %s too", name, seen, want)
			}
		}
	}
}

func TestPlanNamesMissingStreams(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	v := surveyOf(t, s, conn.Options{})
	var missing []string
	for _, stream := range plan(t, v).Streams {
		if stream.Missing {
			missing = append(missing, stream.Stream)
		}
	}
	if want := []string{"JOBS", "ATTEMPTS", "WATCH", "SUBMISSIONS", "REPLAYS", "SINKS", "ACTIONS"}; !reflect.DeepEqual(missing, want) {
		t.Errorf("Plan misses %v, want %v: the others are made when they are needed", missing, want)
	}
	if err := v.Apply(t.Context(), plan(t, v), false, migration, nil); err != nil {
		t.Error(err)
	}
	if name := <-s.JetStream().StreamNames(t.Context()).Name(); name != "" {
		t.Errorf("Apply made stream %s, want none: a receiver makes them", name)
	}
}

func TestApplyMakesThePlannedChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		setting    string
		stream     string
		change     func(*jetstream.StreamConfig)
		have, want string
		refused    bool
		blocked    string
	}{
		{"max_age", "JOBS", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "1h", "2160h", false, ""},
		{"max_msg_size", "JOBS", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 20 }, "1048576", "unlimited", false, ""},
		{"discard", "JOBS", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew }, "DiscardNew", "DiscardOld", false, ""},
		{"allow_atomic", "JOBS", func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }, "false", "true", false, ""},
		{"max_bytes", "JOBS", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "1048576", "unlimited", true, ""},
		{"max_msgs", "JOBS", func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "10", "unlimited", true, ""},
		{"max_msgs_per_subject", "JOBS", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "1", "unlimited", true, ""},
		{"no_ack", "JOBS", func(c *jetstream.StreamConfig) { c.NoAck = true }, "true", "false", true, ""},
		{"max_bytes", "ATTEMPTS", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "1048576", "1073741824", false, ""},
		{"storage", "JOBS", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "Memory", "File", false, "streams copy"},
		{"retention", "JOBS", func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, "Interest", "Limits", true, "streams copy"},
		{"sealed", "JOBS", func(c *jetstream.StreamConfig) { c.Sealed = true }, "true", "false", true, "streams copy"},
		{"subjects", "JOBS", func(c *jetstream.StreamConfig) { c.Subjects = []string{"jobs.demo.>"} }, "jobs.demo.>", "jobs.>", true, "its own account"},
		{"sources", "JOBS", func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} }, "1", "0", true, "its own account"},
	} {
		t.Run(tt.stream+" "+tt.setting, func(t *testing.T) {
			t.Parallel()
			s := natstest.NewServer(t, 0)
			js := s.JetStream()
			cfg := jetstream.StreamConfig{
				Name: tt.stream, Subjects: []string{strings.ToLower(tt.stream) + ".>"}, MaxAge: 2160 * time.Hour, AllowAtomicPublish: true,
			}
			if tt.stream != "JOBS" {
				cfg.MaxAge, cfg.AllowAtomicPublish = 0, false
			}
			tt.change(&cfg)
			before := create(t, js, cfg)
			v := surveyOf(t, s, conn.Options{})
			p := plan(t, v)
			got := change(t, p, tt.stream, tt.setting)
			if got.Have != tt.have || got.Want != tt.want || got.Refused != tt.refused ||
				(got.Blocked == "") != (tt.blocked == "") || !strings.Contains(got.Blocked, tt.blocked) {
				t.Errorf("Plan has %+v, want %s to %s, refused %v, blocked for %q", got, tt.have, tt.want, tt.refused, tt.blocked)
			}
			if now := configuration(t, js, tt.stream); !reflect.DeepEqual(now, before) {
				t.Errorf("planning made of\n%+v\n%+v", before, now)
			}
			if err := v.Apply(t.Context(), p, false, migration, nil); err != nil {
				t.Fatal(err)
			}
			left := 0
			for _, stream := range plan(t, v).Streams {
				left += len(stream.Changes)
			}
			if _, blocked := p.Changes(); left != blocked {
				t.Errorf("after Apply %d changes are left, want the %d that were blocked", left, blocked)
			}
		})
	}
}

func TestForeignStreamIsNotChanged(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	before := create(t, s.JetStream(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"print.>"}, MaxAge: time.Hour, MaxMsgs: 7})
	v := surveyOf(t, s, conn.Options{})
	if apply, blocked := plan(t, v).Changes(); apply != 0 || blocked < 3 {
		t.Errorf("Changes = %d, %d, want none and at least 3 blocked", apply, blocked)
	}
	if err := v.Apply(t.Context(), plan(t, v), true, migration, nil); err != nil {
		t.Fatal(err)
	}
	if now := configuration(t, s.JetStream(), "JOBS"); !reflect.DeepEqual(now, before) {
		t.Errorf("Apply made of\n%+v\n%+v", before, now)
	}
}

// Messages beyond a new limit are dropped only if the caller accepts that.
func TestApplyDropsNothingWithoutPermission(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	for i := range 40 {
		if err := b.Record(t.Context(), natstest.Attempt(fmt.Sprint("verdict", i%4))); err != nil {
			t.Fatal(err)
		}
	}
	small := conn.Options{Streams: conn.Streams{JobsMaxAge: 100 * time.Hour, AttemptsMaxBytes: int64(natstest.ExtentOf(t, b, "ATTEMPTS").Bytes / 2)}}
	v := surveyed(t, func() (*schema.Survey, error) { return natstest.Survey(t, s, small) })
	p := plan(t, v)
	if got := change(t, p, "ATTEMPTS", "max_bytes").Drops; got < 18 || got > 22 {
		t.Errorf("half of 40 messages are to go, and Plan says %d", got)
	}
	if err := v.Apply(t.Context(), p, false, migration, nil); !errors.Is(err, schema.ErrDrops) {
		t.Errorf("Apply = %v, want ErrDrops", err)
	}
	if got := natstest.ExtentOf(t, b, "ATTEMPTS").Messages; got != 40 {
		t.Errorf("%d messages are left after a refused Apply, want 40", got)
	}
	change(t, plan(t, v), "JOBS", "max_age") // a change that drops nothing was not made either
	if got := natstest.ExtentOf(t, b, conn.ActionsStream).Messages; got != 0 {
		t.Errorf("a refused Apply recorded %d actions, want none", got)
	}
	var done []string
	if err := v.Apply(t.Context(), p, true, migration, func(stream string) { done = append(done, stream) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"JOBS", "ATTEMPTS"}; !reflect.DeepEqual(done, want) {
		t.Errorf("Apply changed %v, want %v", done, want)
	}
	if got := natstest.ExtentOf(t, b, "ATTEMPTS").Messages; got == 0 || got > 22 {
		t.Errorf("%d messages are left, want about 20", got)
	}
	wantAction(t, b)
}

func wantAction(t *testing.T, b *publish.Store) {
	t.Helper()
	var got []job.Action
	err := b.Range(t.Context(), conn.ActionsStream, 1, 10, func(m publish.Message) error {
		a, err := job.ParseAction(m.Subject, m.Data)
		got = append(got, a)
		return err
	})
	if err != nil || len(got) != 1 || got[0].What != job.ActionStreams || got[0].Operator != "tester" {
		t.Fatalf("the actions are %+v, %v, want one of streams", got, err)
	}
	var details schema.Plan
	if err := json.Unmarshal(got[0].Details, &details); err != nil || change(t, details, "ATTEMPTS", "max_bytes").Drops == 0 {
		t.Errorf("the action tells %s, %v, want the plan", got[0].Details, err)
	}
}

func TestPlanCountsDroppedMessagesExactly(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	js := s.JetStream()
	b := natstest.Dial(t, s.External(), conn.Options{})
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	natstest.Store(t, b, natstest.Event(job.Finished, "2", "COMPLETED"))
	const gap = time.Second
	<-time.After(gap)
	natstest.Store(t, b, natstest.Event(job.Finished, "3", "COMPLETED"))
	o := conn.Options{Streams: conn.Streams{JobsMaxAge: gap}}
	p := plan(t, surveyOf(t, s, o))
	if got := change(t, p, "JOBS", "max_age").Drops; got != 2 || p.Drops() != 2 {
		t.Errorf("two of three events are too old, and Plan says %d of %d", got, p.Drops())
	}
	// Counting must not leave its consumer behind.
	info, err := js.Stream(t.Context(), "JOBS")
	if err != nil || info.CachedInfo().State.Consumers != 0 {
		t.Errorf("counting left %d consumers, %v, want none", info.CachedInfo().State.Consumers, err)
	}

	watches := configuration(t, js, "WATCH")
	watches.MaxMsgsPerSubject = -1
	if _, err := js.UpdateStream(t.Context(), watches); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"watch.demo.1", "watch.demo.1", "watch.demo.1", "watch.demo.2"} {
		if _, err := js.Publish(t.Context(), subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := change(t, plan(t, surveyOf(t, s, o)), "WATCH", "max_msgs_per_subject").Drops; got != 2 {
		t.Errorf("two of three watches of one job are to go, and Plan says %d", got)
	}
}

func TestApplyRefusesAStalePlan(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	js := s.JetStream()
	natstest.Dial(t, s.External(), conn.Options{})
	v := surveyOf(t, s, conn.Options{Streams: conn.Streams{JobsMaxAge: 100 * time.Hour}})
	p := plan(t, v)
	cfg := configuration(t, js, "JOBS")
	cfg.MaxAge = 50 * time.Hour
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(t.Context(), p, true, migration, nil); !errors.Is(err, schema.ErrStale) {
		t.Errorf("Apply = %v, want ErrStale", err)
	}
	if got := configuration(t, js, "JOBS").MaxAge; got != 50*time.Hour {
		t.Errorf("max_age is %v, want it left at 50h", got)
	}
}

// Bodies in the object store must not expire before the events that refer to them.
func TestPayloadsAreKeptAsLongAsEvents(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 64<<10)
	b := natstest.Dial(t, s.External(), conn.Options{})
	natstest.Store(t, b, natstest.Large(natstest.Event(job.Finished, "1", "COMPLETED"), 200<<10))
	v := surveyOf(t, s, conn.Options{Streams: conn.Streams{JobsMaxAge: 5000 * time.Hour}})
	if got := change(t, plan(t, v), "OBJ_PAYLOADS", "max_age"); got.Have != "2184h" || got.Want != "5024h" {
		t.Errorf("Plan has %+v, want 2184h to 5024h", got)
	}
	if err := v.Apply(t.Context(), plan(t, v), false, migration, nil); err != nil {
		t.Fatal(err)
	}
	if got := configuration(t, s.JetStream(), "OBJ_PAYLOADS").MaxAge; got != 5024*time.Hour {
		t.Errorf("bodies are kept for %v, want 5024h", got)
	}
}

func TestReplicasNeedACluster(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	natstest.Dial(t, s.External(), conn.Options{})
	v := surveyOf(t, s, conn.Options{Streams: conn.Streams{Replicas: 3}})
	p := plan(t, v)
	if got := change(t, p, "JOBS", "num_replicas"); !strings.Contains(got.Blocked, "cluster") {
		t.Errorf("Plan has %+v, want that it needs a cluster", got)
	}
	all := len(conn.Streams{}.Configs())
	if apply, blocked := p.Changes(); apply != 0 || blocked != all {
		t.Errorf("Changes = %d, %d, want 0 and %d", apply, blocked, all)
	}
}

// A server that does not know atomic batches would accept the setting and ignore it. The test has
// no old server, so it answers by hand.
func TestOldServerBlocksAtomicBatches(t *testing.T) {
	t.Parallel()
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not get ready")
	}
	nc, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	for subject, answer := range map[string]string{
		"$JS.API.INFO": `{"type":"io.nats.jetstream.api.v1.account_info_response","api":{"total":1,"errors":0}}`,
		"$JS.API.STREAM.INFO.JOBS": `{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"JOBS","subjects":["jobs.>"],
			"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":7776000000000000,"max_msgs_per_subject":-1,
			"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1},"state":{},"created":"2026-01-01T00:00:00Z"}`,
		"$JS.API.STREAM.INFO.*": `{"type":"io.nats.jetstream.api.v1.stream_info_response","error":{"code":404,"err_code":10059}}`,
	} {
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
			if m.Subject == "$JS.API.STREAM.INFO.JOBS" && strings.Contains(subject, "*") {
				return
			}
			_ = m.Respond([]byte(answer)) // the caller has a timeout
		}); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Flush(t, nc)
	v := surveyed(t, func() (*schema.Survey, error) {
		return schema.SurveyCluster(t.Context(), conn.External{URLs: []string{ns.ClientURL()}}, conn.Options{})
	})
	if got := change(t, plan(t, v), "JOBS", "allow_atomic"); !strings.Contains(got.Blocked, "2.12") {
		t.Errorf("Plan has %+v, want that the server is too old", got)
	}
}

// See "A stream that cannot be changed in place" in docs/operations.md.
func TestCopyThroughAMirrorKeepsSequences(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	js := s.JetStream()
	create(t, js, jetstream.StreamConfig{
		Name: "JOBS", Subjects: []string{"jobs.>"}, Storage: jetstream.MemoryStorage, MaxAge: 2160 * time.Hour, AllowDirect: true, AllowAtomicPublish: true,
	})
	b := natstest.Dial(t, s.External(), conn.Options{})
	for i := range 5 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "JOBS")
	if err == nil {
		err = stream.DeleteMsg(t.Context(), 2) // a gap, as a stream may have
	}
	if err != nil {
		t.Fatal(err)
	}
	promote := func(name string, subjects ...string) {
		t.Helper()
		cfg := configuration(t, js, name)
		cfg.Mirror, cfg.Subjects = nil, subjects
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	mirrored := func(name, of string) {
		t.Helper()
		mirror, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Storage: jetstream.FileStorage, MaxAge: 2160 * time.Hour, AllowDirect: true, Mirror: &jetstream.StreamSource{Name: of},
		})
		if err != nil {
			t.Fatal(err)
		}
		natstest.Eventually(t, name+" to hold all of "+of, func() bool {
			info, err := mirror.Info(t.Context())
			return err == nil && info.State.LastSeq == 5
		})
		if err := js.DeleteStream(t.Context(), of); err != nil {
			t.Fatal(err)
		}
	}
	mirrored("JOBS_COPY", "JOBS")
	promote("JOBS_COPY")
	mirrored("JOBS", "JOBS_COPY")
	promote("JOBS", "jobs.>")
	v := surveyOf(t, s, conn.Options{})
	if err := v.Apply(t.Context(), plan(t, v), false, migration, nil); err != nil {
		t.Fatal(err)
	}
	for _, planned := range plan(t, v).Streams {
		if planned.Stream == "JOBS" && len(planned.Changes) > 0 {
			t.Errorf("after the copy Plan has %+v, want nothing to do", planned)
		}
	}
	b = natstest.Dial(t, s.External(), conn.Options{})
	if got := natstest.Store(t, b, natstest.Event(job.Finished, "4", "COMPLETED")); !got.Existed || got.Sequence != 5 {
		t.Errorf("the last event is at %d, existed %v, want it found at 5", got.Sequence, got.Existed)
	}
	if got := natstest.Store(t, b, natstest.Event(job.Finished, "new", "COMPLETED")); got.Existed || got.Sequence != 6 {
		t.Errorf("the next event is at %d, existed %v, want it stored at 6", got.Sequence, got.Existed)
	}
}

func plan(t *testing.T, v *schema.Survey) schema.Plan {
	t.Helper()
	p, err := v.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// change returns the one planned change of a setting.
func change(t *testing.T, p schema.Plan, stream, setting string) schema.Change {
	t.Helper()
	for _, s := range p.Streams {
		for _, c := range s.Changes {
			if s.Stream == stream && c.Setting == setting {
				return c
			}
		}
	}
	t.Fatalf("Plan has %+v, want a change of %s of %s", p.Streams, setting, stream)
	return schema.Change{}
}

func surveyOf(t *testing.T, s *natstest.Server, o conn.Options) *schema.Survey {
	t.Helper()
	return surveyed(t, func() (*schema.Survey, error) { return schema.SurveyCluster(t.Context(), s.External(), o) })
}

func surveyed(t *testing.T, connect func() (*schema.Survey, error)) *schema.Survey {
	t.Helper()
	v, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func configuration(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamConfig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	return got.CachedInfo().Config
}
