package archiving_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit/archive"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/archiving"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// world is a store with a log key, and a folder for archives.
type world struct {
	cfg    *config.Config
	store  *publish.Store
	folder string
	log    natstest.Logs
	events int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := &world{folder: filepath.Join(dir, "archive"), store: natstest.Open(t, natstest.Start(t, filepath.Join(dir, "data")))}
	path := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(`sources: {demo: {signature_keys: [{name: first, value: "0123456789abcdef0123"}]}}
audit: {name: test, key: %q, export: {folder: archive, interval: 1m}}
`, strings.TrimSpace(key.Secret()))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.cfg, err = config.Load(config.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	w.cfg.Audit.Export.Interval = time.Millisecond
	if err := os.Mkdir(w.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// more stores so many events, and seals them.
func (w *world) more(t *testing.T, n int) {
	t.Helper()
	for range n {
		w.events++
		natstest.Store(t, w.store, natstest.Called(job.Finished, fmt.Sprint(w.events), "COMPLETED"))
	}
	if _, err := logs.Seal(t.Context(), w.cfg, w.store, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
}

// run runs a keeper until done holds, and fails if it does not within a minute.
func (w *world) run(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rounds := make(chan struct{})
	k, err := archiving.New(ctx, archiving.Options{Config: w.cfg, Store: w.store, Log: w.log.Logger(), Tick: 5 * time.Millisecond, Observe: func(u archiving.Unarchived) {
		if u.Stream == conn.JobsStream {
			select {
			case rounds <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for range rounds {
		if done() {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("it took too long; the log is\n%s", &w.log)
		}
	}
}

// archives are the names in the folder.
func (w *world) archives(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(w.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// exports are the details of the actions export in ACTIONS.
func (w *world) exports(t *testing.T) (all []archiving.Details) {
	t.Helper()
	for m, err := range w.store.Messages(t.Context(), publish.Watch{Stream: conn.ActionsStream, Subjects: []string{"actions.export"}}) {
		if err != nil {
			t.Fatal(err)
		}
		a, err := job.ParseAction(m.Subject, m.Data)
		var d archiving.Details
		if err == nil {
			err = json.Unmarshal(a.Details, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// ranges are the sequences of a stream that the exports have.
func (w *world) ranges(t *testing.T, stream string) (all []string) {
	t.Helper()
	for _, d := range w.exports(t) {
		for _, e := range d.Logs {
			if e.Stream() == stream {
				all = append(all, fmt.Sprintf("%d-%d", e.From, e.To))
			}
		}
	}
	return all
}

// verified verifies all archives in the folder.
func (w *world) verified(t *testing.T) records.Verified {
	t.Helper()
	v, err := records.VerifyArchive(t.Context(), w.folder, nil, records.VerifyOptions{Config: w.cfg, Progress: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func quiet(string) (func(done, total int64), func()) { return func(int64, int64) {}, func() {} }

// TestEachArchiveBeginsWhereTheLastOneEnded holds that unattended exports, also of a receiver that
// was restarted and beside exports by hand, have every record once; and that nothing is exported
// while nothing is new.
func TestEachArchiveBeginsWhereTheLastOneEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.more(t, 3)
	for i, n := range []int{0, 2, 1} { // a keeper each, as after a restart
		if n > 0 {
			w.more(t, n)
		}
		if i == 2 { // by hand, elsewhere
			keys, err := logs.Keys(w.cfg.Audit)
			if err != nil {
				t.Fatal(err)
			}
			_, err = archiving.Export(t.Context(), w.store, filepath.Join(t.TempDir(), "x"), job.Action{What: job.ActionExport, Operator: "me"},
				records.ExportOptions{Config: w.cfg, Keys: keys, Progress: quiet})
			if err != nil {
				t.Fatal(err)
			}
		}
		w.run(t, func() bool { return len(w.archives(t)) > i })
	}
	if got, want := w.ranges(t, conn.JobsStream), []string{"1-3", "4-5", "1-6", "6-6"}; !slices.Equal(got, want) {
		t.Errorf("exported of JOBS %v, want %v", got, want)
	}
	v := w.verified(t)
	if !v.OK || len(v.Gaps) > 0 || len(v.Logs) != 9 {
		t.Errorf("verified: %+v", v)
	}
	for _, r := range v.Logs {
		if r.Checkpoints == 0 || len(r.Archive) != len("20261101T020000Z") {
			t.Errorf("archive %q of %s has %d checkpoints", r.Archive, r.Origin, r.Checkpoints)
		}
	}
	// Only the action of the last export is new.
	if _, err := logs.Seal(t.Context(), w.cfg, w.store, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	rounds := 0
	w.run(t, func() bool { rounds++; return rounds > 5 })
	if got := w.archives(t); len(got) != 3 {
		t.Errorf("there are the archives %v, want 3", got)
	}
	if text := w.log.String(); strings.Contains(text, `"level":"error"`) || strings.Contains(text, `"level":"warn"`) {
		t.Errorf("the log is\n%s", text)
	}
}

// TestAFailedExportIsTriedAgain holds that a folder that is away, or full of what was killed, costs
// no record: the error is logged, and the next archive has all.
func TestAFailedExportIsTriedAgain(t *testing.T) {
	t.Parallel()
	const want = "make the folder, or mount it"
	w := newWorld(t)
	w.more(t, 2)
	if err := os.Remove(w.folder); err != nil {
		t.Fatal(err)
	}
	w.run(t, func() bool {
		return strings.Contains(w.log.String(), "exporting to an archive failed and is tried again")
	})
	if text := w.log.String(); !strings.Contains(text, want) || len(w.exports(t)) != 0 {
		t.Errorf("the log is\n%s, want %q", text, want)
	}
	if err := os.MkdirAll(filepath.Join(w.folder, ".unfinished-20260101T000000Z", "JOBS"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.run(t, func() bool { return len(w.exports(t)) == 1 })
	if got := w.archives(t); len(got) != 1 || strings.HasPrefix(got[0], ".") {
		t.Errorf("the folder has %v, want one archive", got)
	}
	if got := w.ranges(t, conn.JobsStream); !slices.Equal(got, []string{"1-2"}) || !w.verified(t).OK {
		t.Errorf("exported of JOBS %v", got)
	}
}

// TestAStopLeavesNoArchiveUnfinished holds that a receiver that stops while it exports is not
// delayed, and leaves neither a part of an archive nor a record of one.
func TestAStopLeavesNoArchiveUnfinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.more(t, 1200)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := archiving.New(ctx, archiving.Options{Config: w.cfg, Store: w.store, Log: w.log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(w.archives(t)) == 0 && ctx.Err() == nil {
		<-tick.C
	}
	cancel()
	<-ended
	if got := w.archives(t); len(got) > 0 || len(w.exports(t)) > 0 || w.log.String() != "" {
		t.Errorf("the folder has %v, recorded is %v, the log is\n%s", got, w.exports(t), &w.log)
	}
}

// TestOneReplicaExports holds that of two replicas at once one makes the archive.
func TestOneReplicaExports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Audit.Export.Interval = time.Hour
	w.more(t, 100)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var replicas sync.WaitGroup
	for range 3 {
		k, err := archiving.New(ctx, archiving.Options{Config: w.cfg, Store: w.store, Log: w.log.Logger(), Tick: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		replicas.Go(func() { k.Run(ctx) })
	}
	w.run(t, func() bool { return len(w.exports(t)) > 0 })
	rounds := 0
	w.run(t, func() bool { rounds++; return rounds > 20 })
	cancel()
	replicas.Wait()
	if got := w.ranges(t, conn.JobsStream); !slices.Equal(got, []string{"1-100"}) || len(w.archives(t)) != 1 {
		t.Errorf("exported %v to %v", got, w.archives(t))
	}
}

// TestUnarchivedRecordsAreWarnedOf holds that a record that is in no archive is named before its
// age removes it, once in a day, and that an archive ends that.
func TestUnarchivedRecordsAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Audit.Export.Folder = ""
	const warning = "records that are in no archive are removed soon"
	w.more(t, 2)
	w.run(t, func() bool { return true })
	if text := w.log.String(); text != "" {
		t.Errorf("of new records the log says\n%s", text)
	}
	w.cfg.NATS.JobsMaxAge = time.Nanosecond
	rounds := 0
	w.run(t, func() bool { rounds++; return rounds > 5 })
	if text := w.log.String(); strings.Count(text, warning) != 1 || !strings.Contains(text, `"stream":"JOBS","sequence":1,"stored":"`) || !strings.Contains(text, `"ends":"`) {
		t.Errorf("the log is\n%s", text)
	}
	keys, err := logs.Keys(w.cfg.Audit)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "x")
	_, err = archiving.Export(t.Context(), w.store, dir, job.Action{What: job.ActionExport}, records.ExportOptions{Config: w.cfg, Keys: keys, Progress: quiet})
	if err != nil {
		t.Fatal(err)
	}
	all, err := archiving.Survey(t.Context(), w.cfg, w.store)
	if err != nil || len(all) != 2 || !all[0].Stored.IsZero() || all[0].Due {
		t.Errorf("Survey = %+v, %v, want every record in an archive", all, err)
	}
	if d := w.exports(t); len(d) != 2 || len(d[0].Logs) != 0 || len(d[1].Logs) != 3 || d[1].Logs[0].Folder != filepath.Join(dir, "JOBS") || d[1].Logs[0].Size != 2 {
		t.Errorf("recorded: %+v", d)
	}
	// Its checkpoints have times, the newest of them too.
	text, err := os.ReadFile(filepath.Join(dir, "JOBS", "checkpoint-times"))
	if err != nil || !strings.Contains(string(text), " 2 "+w.exports(t)[1].Logs[0].Root+"\n") {
		t.Errorf("the times are\n%s, %v", text, err)
	}
	if _, err := archive.OpenAll(dir, logs.Streams); err != nil {
		t.Error(err)
	}
}

// A record that was deleted after it was sealed ends no exports, or there would be none ever after.
func TestALogWithADeletedRecordIsArchived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.more(t, 3)
	stream, err := w.store.JetStream().Stream(t.Context(), conn.JobsStream)
	natstest.Must(t, err)
	natstest.Must(t, stream.DeleteMsg(t.Context(), 2))
	w.run(t, func() bool { return len(w.exports(t)) > 0 })
	if e := w.exports(t)[0].Logs[0]; e.Stream() != conn.JobsStream || e.Records != 2 || e.Faults != 1 {
		t.Errorf("the export is recorded as %+v, want two records and a fault", e)
	}
}
