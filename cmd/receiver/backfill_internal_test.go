package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/examples"
	"receiver/internal/config"
	"receiver/internal/demo"
	"receiver/internal/job"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service"
	"receiver/internal/service/platform"
	"receiver/internal/simulator"
	"receiver/internal/submit"
)

// retryRig is a receiver with its own NATS and a platform that gives up after the
// first failure, and then queues whatever follows.
type retryRig struct {
	t        *testing.T
	folder   string
	cfg      *config.Config
	in       *service.Instance
	platform *simulator.Server
}

func newRetryRig(t *testing.T) *retryRig {
	t.Helper()
	r := &retryRig{t: t, folder: t.TempDir()}
	var err error
	if err := demo.Write(r.folder, demo.Any); err != nil {
		t.Fatal(err)
	}
	if r.cfg, err = service.ReadConfig(filepath.Join(r.folder, "config.yaml"), nil, nil); err != nil {
		t.Fatal(err)
	}
	address, err := loopbackOf(demo.Source, r.cfg.Sources[demo.Source])
	if err != nil {
		t.Fatal(err)
	}
	o := simulated(r.cfg.Sources[demo.Source], zerolog.Nop())
	o.TimeScale, o.RetrySpacing = 0.001, []time.Duration{}
	if r.platform, err = simulator.Listen(address, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.platform.Close(); err != nil {
			t.Error(err)
		}
	})
	if r.in, err = service.Start(t.Context(), r.cfg, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.in.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// rightKey and wrongKey set what the platform signs with.
func (r *retryRig) rightKey() {
	r.platform.SetSignatureKey(r.cfg.Sources[demo.Source].SignatureKeys[0].Value.Reveal())
}

func (r *retryRig) wrongKey() { r.platform.SetSignatureKey("another key than configured") }

// submit submits jobs and returns their ids.
func (r *retryRig) submit(n int) (ids []string) {
	r.t.Helper()
	client, err := platform.Client(demo.Source, r.cfg.Sources[demo.Source])
	if err != nil {
		r.t.Fatal(err)
	}
	for range n {
		stored, err := platform.Submit(r.t.Context(), r.cfg, client, r.in.Store().Publish, demo.Source, submit.Upload{
			Object: "contact", FileName: "sample.csv", File: bytes.NewReader(examples.SampleCSV), Size: int64(len(examples.SampleCSV)),
		})
		if err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, stored.Job.ID)
	}
	return ids
}

func (r *retryRig) until(what string, done func(simulator.Stats) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := r.platform.Wait(ctx, done); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

func (r *retryRig) run(args ...string) (code int, out, talk string) {
	var o, e bytes.Buffer
	args = append([]string{"--config", filepath.Join(r.folder, "config.yaml")}, args...)
	code = run(r.t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// backfill runs the command and returns what it says of each queued callback.
func (r *retryRig) backfill(flags ...string) []poll.Waiting {
	r.t.Helper()
	code, out, talk := r.run(append([]string{"-o", "json", "backfill"}, flags...)...)
	var found []poll.Waiting
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitDone {
		r.t.Fatalf("backfill %v = exit %d, %s%s (%v)", flags, code, out, talk, err)
	}
	return found
}

// want fails the test unless each of the queued callbacks is in that state.
func want(t *testing.T, when string, found []poll.Waiting, n int, state poll.Backlog, done string) {
	t.Helper()
	if len(found) != n {
		t.Fatalf("%s: %d callbacks in the queue, want %d: %+v", when, len(found), n, found)
	}
	for _, w := range found {
		if w.State != state || w.Done != done {
			t.Errorf("%s: %+v, want %s and done %q", when, w, state, done)
		}
	}
}

// end returns the finished event of a job; there must be one. Whether it is marked as expected is
// not looked at: the list of jobs in memory may learn of a submission after the callback.
func (r *retryRig) end(id string) job.Stored {
	r.t.Helper()
	events, err := r.in.Store().Job(r.t.Context(), demo.Source, id)
	if err != nil {
		r.t.Fatal(err)
	}
	var ends []job.Stored
	for _, e := range events {
		if e.Kind == job.Finished || e.Kind == job.Conflict {
			ends = append(ends, e)
		}
	}
	if len(ends) != 1 || ends[0].Kind != job.Finished || ends[0].Job.Result != job.Succeeded {
		r.t.Fatalf("job %s has the ends %+v, want one success", id, ends)
	}
	return ends[0]
}

func (r *retryRig) status(flags ...string) service.SourceReport {
	r.t.Helper()
	code, out, talk := r.run(append([]string{"-o", "json", "sources", "status"}, flags...)...)
	var report service.SourcesReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitDone || len(report.Sources) != 1 {
		r.t.Fatalf("sources status = exit %d, %s%s (%v)", code, out, talk, err)
	}
	if from := map[bool]string{true: "streams", false: "listener"}[len(flags) > 0]; report.From != from {
		r.t.Errorf("sources status %v is from the %s, want %s", flags, report.From, from)
	}
	return report.Sources[0]
}

// A key was wrong until the platform gave up. The key is corrected, the queue is sent again, and
// every job has its one outcome, proved by a signature.
func TestBackfillHasTheQueueSentAgain(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	r.wrongKey()
	ids := r.submit(3)
	r.until("giving up", func(s simulator.Stats) bool { return s.Queued == 3 })
	if got := r.status(); got.InARow < 1 || got.Reason != "mismatch" || got.Failing < 1 || got.NextRetry.IsZero() || !got.Accepted.IsZero() {
		t.Errorf("sources status = %+v, want failures by mismatch and a retry", got)
	}
	want(t, "while the key is wrong", r.backfill("--dry-run"), 3, poll.Missing, "")
	r.rightKey()
	want(t, "when it is right", r.backfill(), 3, poll.Missing, "redelivery")
	r.until("delivering", func(s simulator.Stats) bool { return s.Delivered == 3 && s.Queued == 0 })
	for _, id := range ids {
		if e := r.end(id); e.Evidence != job.ByCallback || e.Receipt == nil {
			t.Errorf("job %s ended by %s, want a callback", id, e.Evidence)
		}
	}
	want(t, "afterwards", r.backfill(), 0, "", "")
	for _, flags := range [][]string{nil, {"--streams"}} {
		if got := r.status(flags...); got.InARow != 0 || got.Failing != 0 || got.AttemptsLeft != 5 || got.Accepted.IsZero() {
			t.Errorf("sources status %v = %+v, want nothing failing", flags, got)
		}
	}
}

// An event from the queue says so, and a later callback creates no second one.
func TestBackfillTakesTheQueueIn(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	r.wrongKey()
	ids := r.submit(2)
	r.until("giving up", func(s simulator.Stats) bool { return s.Queued == 2 })
	want(t, "taking in", r.backfill("--take"), 2, poll.Missing, "taken")
	for _, id := range ids {
		if e := r.end(id); e.Evidence != job.ByVendorQueue || e.Receipt != nil {
			t.Errorf("job %s ended by %s, want the vendor's queue", id, e.Evidence)
		}
	}
	want(t, "taking in again", r.backfill("--take"), 2, poll.Present, "")
	r.rightKey()
	want(t, "emptying the queue", r.backfill(), 2, poll.Present, "redelivery")
	r.until("delivering", func(s simulator.Stats) bool { return s.Delivered == 2 })
	late := 0
	for m, err := range r.in.Store().From(t.Context(), conn.AttemptsStream, publish.Position{}, true) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == "attempts."+demo.Source+"."+job.Late {
			late++
		}
	}
	if late != 2 {
		t.Errorf("%d late callbacks, want 2", late)
	}
	for _, id := range ids {
		if e := r.end(id); e.Evidence != job.ByVendorQueue {
			t.Errorf("job %s ended by %s after the callback, want the vendor's queue still", id, e.Evidence)
		}
	}
}

// The queue is the account's: what is in it for others is not sent again unasked.
func TestBackfillLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t)
	client, err := platform.Client(demo.Source, r.cfg.Sources[demo.Source])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Upload(t.Context(), submit.Upload{
		Object: "contact", FileName: "sample.csv", File: bytes.NewReader(examples.SampleCSV), Size: int64(len(examples.SampleCSV)),
		CallbackURL: strings.Replace(r.in.PublicURL(), "127.0.0.1", "localhost", 1) + "/callbacks/another", // whose failing stops only that host
	}); err != nil {
		t.Fatal(err)
	}
	r.until("giving up", func(s simulator.Stats) bool { return s.Queued == 1 })
	want(t, "theirs only", r.backfill(), 1, poll.Foreign, "")
	r.wrongKey()
	r.submit(1)
	r.until("queueing", func(s simulator.Stats) bool { return s.Queued == 2 })
	code, out, talk := r.run("backfill")
	if code != exitFailed || !strings.Contains(talk, "1 of 2; use --all") || !strings.Contains(out, "foreign") || !strings.Contains(out, "missing") {
		t.Errorf("backfill = exit %d\n%s%s\nwant 1, both listed, and what to do", code, out, talk)
	}
	if strings.Contains(out, "another") {
		t.Errorf("somebody else's address was printed: %s", out)
	}
	r.rightKey()
	if code, out, talk := r.run("backfill", "--all"); code != exitDone || strings.Count(out, "redelivery") != 2 {
		t.Errorf("backfill --all = exit %d\n%s%s\nwant 0 and two redeliveries", code, out, talk)
	}
	r.until("delivering ours", func(s simulator.Stats) bool { return s.Delivered == 1 })
}

func TestBackfillWrongUse(t *testing.T) {
	t.Parallel()
	r := newKeysRig(t)
	for _, flags := range [][]string{{"--take", "--dry-run"}, {"--take", "--all"}, {"--dry-run", "--all"}, {"--limit", "0"}, {}, {"--source", "hr"}} {
		if code, out, talk := r.run(append([]string{"backfill"}, flags...)...); code != exitUsage || out != "" {
			t.Errorf("backfill %v = exit %d, %s%s, want 2 and nothing on standard output", flags, code, out, talk)
		}
	}
}
