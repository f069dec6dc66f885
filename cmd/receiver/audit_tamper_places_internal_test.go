package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
	"receiver/internal/config"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// witnessed is a sealed folder whose checkpoints a witness has cosigned, and whose folder "anchor"
// has them too. The receiver says at its start that it keeps receipts.
func witnessed(t *testing.T) (dir string, w *audittest.Witness) {
	t.Helper()
	w = audittest.NewWitness("witness.example/w1")
	w.Key.Now = uint64(time.Now().Unix())
	dir = sealedFolderWith(t, fmt.Sprintf(`{witness: "%s", key: "%s"}, {directory: anchor}`, w.Serve(t), w.Key.VerifierKey()))
	return dir, w
}

// receiving runs a receiver on a folder until stop, which returns what it logged.
func receiving(t *testing.T, dir string, env ...string) (in *service.Instance, stop func() string) {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: append([]string{
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0", "RECEIVER_AUDIT_INTERVAL=100ms", "RECEIVER_AUDIT_ANCHOR_INTERVAL=1s",
	}, env...)})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	in, err = service.Start(t.Context(), cfg, zerolog.New(zerolog.SyncWriter(&log)))
	if err != nil {
		t.Fatal(err)
	}
	return in, func() string {
		if err := in.Stop(); err != nil {
			fmt.Fprintln(&log, err)
		}
		return log.String()
	}
}

// A witness's larger tree, or another tree, is a fork: the receiver seals nothing more, and says so
// wherever somebody looks; and audit verify asks the witness too.
func TestAWitnessThatContradictsStopsSealing(t *testing.T) {
	t.Parallel()
	dir, w := witnessed(t)
	rollBackAll(t, dir)
	x := errors.Join(os.RemoveAll(filepath.Join(dir, "anchor")), os.Mkdir(filepath.Join(dir, "anchor"), 0o700), os.Remove(filepath.Join(dir, "receiver-checkpoints.receipts")))
	if x != nil {
		t.Fatal(x)
	}
	code, report := auditVerify(t, dir)
	wantFault(t, code, report, "JOBS: rolled_back: log receiver/test/JOBS was rolled back: witness witness.example/w1 has cosigned a tree of size 5")
	for _, row := range []struct{ name, want string }{
		{"at the first start", "JOBS"},
		{"and at the next one", "JOBS"},
	} {
		t.Run(row.name, func(t *testing.T) {
			in, stop := receiving(t, dir)
			if _, err := in.Seal(t.Context()); err == nil || !strings.Contains(err.Error(), "witness witness.example/w1 has cosigned a tree of size") {
				t.Errorf("Seal = %v, want the word of the witness", err)
			}
			if text := get(t, in.PrivateURL()+"/readyz"); !strings.Contains(text, `"ready; but the audit log of JOBS`) {
				t.Errorf("/readyz = %s, want that it is ready and what is wrong", text)
			}
			metrics := get(t, in.PrivateURL()+"/metrics")
			log := stop()
			if want := `receiver_audit_fork{stream="JOBS"} 1`; !strings.Contains(metrics, want) {
				t.Errorf("the metrics do not have %q:\n%s", want, metrics)
			}
			if want := `"level":"error","error":"log receiver/test/JOBS was rolled back: witness`; !strings.Contains(log, want) {
				t.Errorf("the log does not have %q:\n%s", want, log)
			}
			if w.With(func() {}); w.Trees["receiver/test/JOBS"].N != 5 {
				t.Errorf("the witness has a tree of size %d, want the 5 of before", w.Trees["receiver/test/JOBS"].N)
			}
		})
	}
	var told bytes.Buffer
	run(t.Context(), []string{"--config", filepath.Join(dir, "config.yaml"), "doctor"}, strings.NewReader(""), &told, io.Discard)
	if want := "an audit log was forked, rolled back or rewritten"; !strings.Contains(told.String(), want) {
		t.Errorf("doctor does not say %q:\n%s", want, &told)
	}
}

// A witness that is down when a receiver starts on a store that was rolled back contradicts what
// is sealed meanwhile as soon as it is back, whatever size that has by then.
func TestAWitnessThatComesBackContradicts(t *testing.T) {
	t.Parallel()
	dir, w := witnessed(t)
	rollBackAll(t, dir)
	if err := os.Remove(filepath.Join(dir, "receiver-checkpoints.receipts")); err != nil {
		t.Fatal(err)
	}
	dropAnchorFolder(t, dir)
	away := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }
	w.With(func() { w.Answer = away })
	in, stop := receiving(t, dir)
	if _, err := in.Seal(t.Context()); err != nil {
		t.Fatalf("Seal while the witness is away: %v", err)
	}
	if text := get(t, in.PrivateURL()+"/readyz"); !strings.Contains(text, `"ready"`) {
		t.Errorf("/readyz = %s, want that it is ready", text)
	}
	w.With(func() { w.Answer = nil })
	await(t, "/readyz says that the log contradicts itself", func() bool {
		return strings.Contains(get(t, in.PrivateURL()+"/readyz"), "contradicts itself")
	})
	if log := stop(); !strings.Contains(log, "contradicts itself and is no longer sealed") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
}

// A witness that is down, slow, or does not know the log delays nothing and is no fork. It gets
// later what it missed.
func TestAWitnessThatIsAwayIsNoFork(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"down":                   func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) },
		"slow":                   func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() },
		"it does not know us":    func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNotFound) },
		"it does not know a key": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, w := witnessed(t)
			w.With(func() { w.Answer = answer })
			began := time.Now()
			in, stop := receiving(t, dir)
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the start took %v with a witness that is %s", took, name)
			}
			cps, err := in.Seal(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			code, report := auditVerify(t, dir)
			if code != exitDone || !strings.Contains(placeOf(report, "witness").Error, "witness.example/w1") {
				t.Errorf("audit verify meanwhile = exit %d, %v, with %+v, want 0 and that it cannot be asked", code, report.faults(), placeOf(report, "witness"))
			}
			w.With(func() { w.Answer = nil })
			has := func() (n int64) {
				w.With(func() { n = w.Trees["receiver/test/ACTIONS"].N })
				return n
			}
			await(t, "the witness has what it missed", func() bool { return has() >= cps[2].Tree.N })
			stop()
			code, report = auditVerify(t, dir)
			if code != exitDone || !report.Outside || len(placeOf(report, "witness").Logs) != 3 {
				t.Errorf("audit verify = exit %d, outside %v, %v with %+v, want intact by the witness", code, report.Outside, report.faults(), placeOf(report, "witness"))
			}
		})
	}
}

// Two replicas with one witness each find larger trees there than they received: no fork.
func TestTwoReplicasWithOneWitnessAreNoFork(t *testing.T) {
	t.Parallel()
	dir, _ := witnessed(t)
	load := func(file string) *config.Config {
		cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: []string{
			"RECEIVER_AUDIT_CHECKPOINT_FILE=" + file, "RECEIVER_AUDIT_INTERVAL=100ms", "RECEIVER_AUDIT_ANCHOR_INTERVAL=1s",
		}})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	server, bus, err := service.OpenStore(t.Context(), load("receiver-checkpoints"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	defer bus.Close(context.Background())
	const rounds = 3
	for i := range rounds { // each in turn seals, tells the witness, and gives it to the other
		for _, file := range []string{"receiver-checkpoints", "second-checkpoints"} {
			id := fmt.Sprintf("%s-%d", file, i)
			if _, err := bus.Publish(t.Context(), signedEvent(t, id, sign(theKey, body(id)))); err != nil {
				t.Fatal(err)
			}
			k, err := logs.OpenKeepers(t.Context(), load(file), bus, sealing.Options{Log: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			if cps, err := k.Seal(t.Context()); err != nil {
				t.Fatalf("Seal with %s = %v, %v", file, cps, err)
			}
			if err := errors.Join(k.Finish(t.Context()), k.Close()); err != nil {
				t.Fatal(err)
			}
			if forked := k.Forked(); len(forked) > 0 {
				t.Errorf("%s took the logs of %v for forked", file, forked)
			}
		}
	}
	for _, file := range []string{"receiver-checkpoints", "second-checkpoints"} {
		receipts, err := anchor.ReadReceipts(filepath.Join(dir, file+".receipts"))
		if err != nil || len(receipts) != 6 {
			t.Errorf("%s.receipts has %d receipts, %v, want one for each of 3 logs at 2 places", file, len(receipts), err)
		}
	}
}

// A place that has less than the receiver told it is a fault, and so is a receipt that is gone.
func TestAPlaceThatForgotIsNamed(t *testing.T) {
	t.Parallel()
	base, w := witnessed(t)
	for range 2 { // the second start records what the first one told
		_, stop := receiving(t, base)
		stop()
	}
	var newest int64
	w.With(func() { newest = w.Trees["receiver/test/ACTIONS"].N })
	folder := func(x *intruder) string { return filepath.Join(x.dir, "anchor") }
	told := func(x *intruder) string { return filepath.Join(x.dir, "receiver-checkpoints.receipts") }
	for _, row := range []struct {
		name   string
		tamper func(x *intruder)
		want   []string
	}{
		{"nothing is done", func(*intruder) {}, nil},
		{"the folder is emptied, or not mounted", func(x *intruder) { x.must(errors.Join(os.RemoveAll(folder(x)), os.Mkdir(folder(x), 0o700))) },
			[]string{"audit.anchors: forgotten: folder {dir}/anchor has receiver/test/JOBS up to size 0 only; it received 5"}},
		{"the folder is gone", func(x *intruder) { x.must(os.RemoveAll(folder(x))) }, []string{"audit.anchors: checkpoint: reading folder of checkpoints"}},
		{"its newest file is removed", func(x *intruder) { x.removeNewest(folder(x), "ACTIONS", newest) },
			[]string{"audit.anchors: forgotten: folder {dir}/anchor has receiver/test/ACTIONS up to size"}},
		{"its newest file is another's", func(x *intruder) {
			x.must(os.WriteFile(x.removeNewest(folder(x), "ACTIONS", newest), resign(x.t, otherKey(x.t), x.newest("ACTIONS"), nil), 0o600))
		}, []string{"audit.anchors: forgotten: folder {dir}/anchor has receiver/test/ACTIONS up to size"}},
		{"the cosignatures are stripped everywhere", func(x *intruder) { x.strip() },
			[]string{"audit.anchors: forgotten: what is kept with the cosignature of witness witness.example/w1"}},
		{"the receipts are removed", func(x *intruder) { x.must(os.Remove(told(x))) },
			[]string{"audit.anchors: forgotten: reading the receipts of anchors: open {dir}/receiver-checkpoints.receipts"}},
		{"the receipts are rubbish", func(x *intruder) { x.must(os.WriteFile(told(x), []byte("rubbish\n"), 0o600)) },
			[]string{"audit.anchors: forgotten: reading the receipts of anchors: {dir}/receiver-checkpoints.receipts, line 1"}},
		{"the receipts are emptied", func(x *intruder) { x.must(os.WriteFile(told(x), nil, 0o600)) },
			[]string{"audit.anchors: forgotten: the receipts say less of witness witness.example/w1"}},
		{"a cosignature is changed", func(x *intruder) {
			other := audittest.NewWitness("witness.example/w1")
			note := x.newest("JOBS")
			x.checkpoint("JOBS", append(bytes.Clone(note[:bytes.LastIndexByte(note[:len(note)-1], '\n')+1]), other.Line("another text\n")...))
		}, []string{"JOBS: checkpoint: store: a cosignature of the checkpoint is wrong: that of witness witness.example/w1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			x.toldOf(told(x), base)
			row.tamper(x)
			x.leave()
			code, report := auditVerify(t, x.dir)
			if len(row.want) == 0 && (code != exitDone || !report.Outside) {
				t.Errorf("audit verify = exit %d, outside %v, %v, want intact by a word from outside", code, report.Outside, report.faults())
			}
			for _, want := range row.want {
				wantFault(t, code, report, strings.ReplaceAll(want, "{dir}", x.dir))
			}
		})
	}
}

// Places that are taken out of the configuration hide no rollback: what the receiver told them is
// in its receipts, and in the record of each start.
func TestAnAnchorThatIsNotConfiguredAnyMoreIsRemembered(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for range 2 { // the second start records what the first one told
		_, stop := receiving(t, base)
		stop()
	}
	if code, report := auditVerify(t, base); code != exitDone {
		t.Fatalf("audit verify = exit %d, %v", code, report.faults())
	}
	elsewhere := func(t *testing.T, dir string) {
		edit(t, dir, "{directory: anchor}", "{directory: share}")
		if err := os.Mkdir(filepath.Join(dir, "share"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	nowhere := func(t *testing.T, dir string) { edit(t, dir, "{directory: anchor}", "") }
	started := func(t *testing.T, dir string, times int) {
		for range times {
			_, stop := receiving(t, dir)
			stop()
		}
	}
	for _, row := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want []string
	}{
		{"another folder, and nothing else is done", func(t *testing.T, dir string) { elsewhere(t, dir); started(t, dir, 2) }, nil},
		{"no anchor, and nothing else is done", func(t *testing.T, dir string) { nowhere(t, dir); started(t, dir, 1) }, nil},
		{"no anchor, and store and file put back", func(t *testing.T, dir string) { nowhere(t, dir); rollBackAll(t, dir) },
			[]string{"JOBS: rolled_back: the receipt of folder"}},
		{"another folder, and store and file put back", func(t *testing.T, dir string) { elsewhere(t, dir); rollBackAll(t, dir) },
			[]string{"JOBS: rolled_back: the receipt of folder", "ACTIONS: rolled_back: the receipt of folder"}},
		{"the same, and the log has grown beyond", func(t *testing.T, dir string) { elsewhere(t, dir); rollBackAll(t, dir); started(t, dir, 6) },
			[]string{"JOBS: rolled_back: the receipt of folder", "ACTIONS: fork: the receipt of folder"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, base)
			row.do(t, dir)
			code, report := auditVerify(t, dir)
			wantFaults(t, code, report, row.want)
		})
	}
}

// toldOf moves the receipts of a copied folder: where a place is belongs to them.
func (x *intruder) toldOf(path, base string) {
	data, err := os.ReadFile(path)
	x.must(err)
	x.must(os.WriteFile(path, bytes.ReplaceAll(data, []byte(base), []byte(x.dir)), 0o600))
}

// removeNewest removes the files of the largest size of a log, and returns the path of one.
func (x *intruder) removeNewest(folder, stream string, size int64) (path string) {
	found, err := filepath.Glob(filepath.Join(folder, fmt.Sprintf("receiver%%2Ftest%%2F%s-%020d-*", stream, size)))
	x.must(err)
	if len(found) == 0 {
		x.t.Fatalf("the folder has no checkpoint of %s of size %d", stream, size)
	}
	for _, path := range found {
		x.must(os.Remove(path))
	}
	return found[0]
}

// strip removes the cosignatures from every checkpoint that is kept: in the store, in the
// checkpoint file, and in the folder.
func (x *intruder) strip() {
	bare := func(note []byte) []byte {
		var kept []byte
		for line := range bytes.Lines(note) {
			if !bytes.HasPrefix(line, []byte("— witness.example/")) {
				kept = append(kept, line...)
			}
		}
		return kept
	}
	x.rewriteSame("CHECKPOINTS", bare)
	for _, pattern := range []string{"receiver-checkpoints", "anchor/*"} {
		paths, err := filepath.Glob(filepath.Join(x.dir, pattern))
		x.must(err)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			x.must(err)
			x.must(os.WriteFile(path, bare(data), 0o600))
		}
	}
}

// rewriteSame puts another stream in the place of one, with messages that are changed alike.
func (x *intruder) rewriteSame(stream string, change func([]byte) []byte) {
	x.rewrite(stream, func(all []*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg {
		for _, m := range all {
			m.Data = change(m.Data)
		}
		return all
	})
}

// A receiver does not tell an anchor anew that has forgotten: it says so, and goes on when the
// anchor has again what it received. So it is with a share that is mounted later.
func TestAnAnchorThatForgotIsNotToldAnew(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		away, again func(dir string) error
	}{
		{"a share that is not mounted at the start",
			func(dir string) error {
				return errors.Join(os.Rename(filepath.Join(dir, "anchor"), filepath.Join(dir, "share")), os.Mkdir(filepath.Join(dir, "anchor"), 0o700))
			},
			func(dir string) error {
				return errors.Join(os.Remove(filepath.Join(dir, "anchor")), os.Rename(filepath.Join(dir, "share"), filepath.Join(dir, "anchor")))
			}},
		{"its folder is not there at the start",
			func(dir string) error { return os.Rename(filepath.Join(dir, "anchor"), filepath.Join(dir, "share")) },
			func(dir string) error { return os.Rename(filepath.Join(dir, "share"), filepath.Join(dir, "anchor")) }},
		{"the receipts are gone",
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "receiver-checkpoints.receipts"), filepath.Join(dir, "put away"))
			},
			func(dir string) error {
				return os.Rename(filepath.Join(dir, "put away"), filepath.Join(dir, "receiver-checkpoints.receipts"))
			}},
		{"the receipts are gone, and an operator lets the anchors forget",
			func(dir string) error {
				return errors.Join(os.Remove(filepath.Join(dir, "receiver-checkpoints.receipts")), emptied(filepath.Join(dir, "anchor")))
			},
			func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "receiver-checkpoints.receipts"), nil, 0o600)
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := sealedFolder(t)
			_, stop := receiving(t, dir)
			if log := stop(); strings.Contains(log, `"level":"error"`) {
				t.Fatalf("the first run says\n%s", log)
			}
			if err := row.away(dir); err != nil {
				t.Fatal(err)
			}
			in, stop := receiving(t, dir)
			cps, err := in.Seal(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "anchor", fmt.Sprintf("*ACTIONS-%020d-*", cps[2].Tree.N))); len(files) > 0 {
				t.Errorf("the anchor got %v, want nothing while that is forgotten", files)
			}
			if code, report := auditVerify(t, dir); code != exitFailed {
				t.Errorf("audit verify meanwhile = exit %d, %v, want 1", code, report.faults())
			}
			if err := row.again(dir); err != nil {
				t.Fatal(err)
			}
			await(t, "the anchor has the newest checkpoint", func() bool {
				files, err := filepath.Glob(filepath.Join(dir, "anchor", fmt.Sprintf("*ACTIONS-%020d-*", cps[2].Tree.N)))
				return err == nil && len(files) > 0
			})
			if log := stop(); !strings.Contains(log, "an anchor has less than it received") {
				t.Errorf("the log does not say that the anchor forgot:\n%s", log)
			}
			if code, report := auditVerify(t, dir); code != exitDone {
				t.Errorf("audit verify afterwards = exit %d, %v, want 0", code, report.faults())
			}
		})
	}
}

func emptied(folder string) error { return errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o700)) }

// An account whose stream was made anew has less than it received, though none can be removed
// from a stream as docs/audit.md has it made.
func TestAnAccountThatWasEmptiedIsNamed(t *testing.T) {
	t.Parallel()
	url, _ := auditorsStream(t)
	dir := sealedFolderWith(t, fmt.Sprintf(`{nats: {urls: ["%s"], stream: KEPT, subject: kept}}`, url))
	in, stop := receiving(t, dir)
	forgetAll(t, url)
	if _, err := in.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, report := auditVerify(t, dir)
	wantFault(t, code, report, "audit.anchors: forgotten: account "+url+", KEPT has receiver/test/JOBS up to size 0 only; it received 5")
	if log := stop(); !strings.Contains(log, "an anchor has less than it received") {
		t.Errorf("the log does not say that the account forgot:\n%s", log)
	}
	if n := held(t, url); n != 0 {
		t.Errorf("the account got %d checkpoints, want none while it has less than it received", n)
	}
}

// forgetAll makes the auditors' stream anew, as only its owner can.
func forgetAll(t *testing.T, url string) {
	t.Helper()
	js := auditors(t, url)
	s, err := js.Stream(t.Context(), "KEPT")
	if err == nil {
		err = js.DeleteStream(t.Context(), "KEPT")
	}
	if err == nil {
		_, err = js.CreateStream(t.Context(), s.CachedInfo().Config)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// held is how many checkpoints the auditors have.
func held(t *testing.T, url string) uint64 {
	t.Helper()
	s, err := auditors(t, url).Stream(t.Context(), "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// auditors is a connection of the owner of the auditors' stream.
func auditors(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// A store of the last version has no receipts, and no start that tells of any: no fault, before
// and after the receiver ran.
func TestAStoreOfTheLastVersionHasNoReceipts(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	told := filepath.Join(dir, "receiver-checkpoints.receipts")
	if err := os.Remove(told); err != nil {
		t.Fatal(err)
	}
	if code, report := auditVerify(t, dir); code != exitDone {
		t.Errorf("audit verify before = exit %d, %v, want 0", code, report.faults())
	}
	_, stop := receiving(t, dir)
	if log := stop(); strings.Contains(log, `"level":"error"`) {
		t.Errorf("the receiver says\n%s", log)
	}
	if code, report := auditVerify(t, dir); code != exitDone {
		t.Errorf("audit verify after = exit %d, %v, want 0", code, report.faults())
	}
	if err := os.Remove(told); err != nil {
		t.Fatal(err)
	}
	code, report := auditVerify(t, dir)
	wantFault(t, code, report, "audit.anchors: forgotten: reading the receipts of anchors")
}

// The verdict says on whose word it rests.
func TestVerifySaysOnWhoseWordItRests(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		anchors string
		outside bool
		want    []string
	}{
		{"no anchor", "", false, []string{"intact as far as this machine's own word goes; no outside anchor", "stream  CHECKPOINTS", "file    {dir}/receiver-checkpoints"}},
		{"a folder", "{directory: anchor}", true, []string{"intact; JOBS up to 5 of 5 by folder {dir}/anchor, 20", "folder  {dir}/anchor", "ACTIONS 2, ATTEMPTS 4, JOBS 5"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := sealedFolderWith(t, row.anchors)
			var out bytes.Buffer
			if code := run(t.Context(), []string{"--config", filepath.Join(dir, "config.yaml"), "audit", "verify"}, strings.NewReader(""), &out, io.Discard); code != exitDone {
				t.Errorf("audit verify = exit %d, want 0", code)
			}
			for _, want := range row.want {
				if want = strings.ReplaceAll(want, "{dir}", dir); !strings.Contains(out.String(), want) {
					t.Errorf("audit verify does not say %q:\n%s", want, &out)
				}
			}
			if _, report := auditVerify(t, dir); report.Outside != row.outside {
				t.Errorf("outside = %v, want %v", report.Outside, row.outside)
			}
			for _, command := range [][]string{{"config", "check"}, {"doctor"}} {
				var said bytes.Buffer
				run(t.Context(), append([]string{"--config", filepath.Join(dir, "config.yaml")}, command...), strings.NewReader(""), &said, &said)
				if warned := strings.Contains(said.String(), "leaves no trace, and needs no key"); warned == row.outside {
					t.Errorf("%v warns %v, want %v:\n%s", command, warned, !row.outside, &said)
				}
			}
		})
	}
}

// A bundle is proved with a witness's key only if that witness has cosigned it.
func TestCheckAsksForTheCosignaturesOfTheGivenWitnesses(t *testing.T) {
	t.Parallel()
	dir, w := witnessed(t)
	other := audittest.NewWitness("witness.example/w2")
	var bundle bytes.Buffer
	if code := run(t.Context(), []string{"--config", filepath.Join(dir, "config.yaml"), "audit", "prove", "JOBS/5"}, strings.NewReader(""), &bundle, io.Discard); code != exitDone {
		t.Fatalf("audit prove = exit %d, %s", code, &bundle)
	}
	path := filepath.Join(dir, "bundle.json")
	if err := os.WriteFile(path, bundle.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	x := intruder{t: t, dir: dir}
	logKey := x.key().VerifierKey(audit.Origin("receiver", "test", "JOBS"))
	w1, w2 := w.Key.VerifierKey(), other.Key.VerifierKey()
	for _, row := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no witness is asked for", nil, exitDone, "PROVED"},
		{"the one that cosigned", []string{"--witness-key", w1}, exitDone, "cosigned by witness.example/w1"},
		{"one that did not", []string{"--witness-key", w2}, exitFailed, "too few cosignatures: the checkpoint of size 5 has 0 of 1, none by witness.example/w2"},
		{"both", []string{"--witness-key", w1, "--witness-key", w2}, exitFailed, "has 1 of 2, none by witness.example/w2"},
		{"one of both", []string{"--witness-key", w1, "--witness-key", w2, "--witnesses", "1"}, exitDone, "PROVED"},
		{"two of both", []string{"--witness-key", w1, "--witness-key", w2, "--witnesses", "2"}, exitFailed, "has 1 of 2"},
		{"one twice", []string{"--witness-key", w1, "--witness-key", w1, "--witnesses", "2"}, exitFailed, "has 1 of 2"},
		{"more than are given", []string{"--witness-key", w1, "--witnesses", "2"}, exitUsage, "--witnesses 2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			code := run(t.Context(), append([]string{"audit", "check", path, "--log-key", logKey}, row.args...), strings.NewReader(""), &out, &out)
			if code != row.code || !strings.Contains(out.String(), row.want) {
				t.Errorf("audit check = exit %d, %s; want %d and %q", code, &out, row.code, row.want)
			}
		})
	}
}

// dropAnchorFolder takes the folder out of the configuration: the witness alone is left.
func dropAnchorFolder(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "config.yaml")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, bytes.Replace(text, []byte(", {directory: anchor}"), nil, 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await returns when what is waited for is true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("after a minute it is not so: %s", what)
		}
	}
}

// wantFault fails the test unless a verification found a fault that begins so.
func wantFault(t *testing.T, code int, report verified, want string) {
	t.Helper()
	if code != exitFailed || !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
		t.Errorf("audit verify = exit %d, %v, want 1 and a fault that begins with %q", code, report.faults(), want)
	}
}

// placeOf is the first place of a kind.
func placeOf(v verified, kind string) anchor.Compared {
	for _, p := range v.Places {
		if p.Kind == kind {
			return p
		}
	}
	return anchor.Compared{}
}

// A checkpoint file that is new beside a store that has checkpoints is named at the start: it is
// the one place on the machine that shows a rollback of the store.
func TestACheckpointFileThatIsNewIsNamed(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(dir string) error
		want   bool
	}{
		{"nothing is done", func(string) error { return nil }, false},
		{"the file is removed", func(dir string) error { return os.Remove(filepath.Join(dir, "receiver-checkpoints")) }, true},
		{"the file is emptied", func(dir string) error { return os.Truncate(filepath.Join(dir, "receiver-checkpoints"), 0) }, true},
		{"another file is configured", func(dir string) error {
			path := filepath.Join(dir, "config.yaml")
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(text, []byte("audit: {"), []byte("audit: {checkpoint_file: other, "), 1), 0o600))
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			x.leave()
			x.must(row.tamper(x.dir))
			cfg, err := config.Load(config.Options{Path: filepath.Join(x.dir, "config.yaml")})
			x.must(err)
			server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
			x.must(err)
			defer server.Stop()
			defer bus.Close(context.Background())
			var said bytes.Buffer
			k, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.New(&said)})
			x.must(err)
			x.must(k.Close())
			if got := strings.Contains(said.String(), "the checkpoint file has none"); got != row.want {
				t.Errorf("the log names it: %v, want %v: %s", got, row.want, &said)
			}
		})
	}
}
