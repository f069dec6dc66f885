package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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
	"golang.org/x/mod/sumdb/note"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// An attacker who has the store, its credentials and its files can change its contents, but not
// unnoticed. Each row is one way; docs/evidence.md explains each fault.
func TestTamperingIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(t *testing.T, x *intruder)
		want   []string // each begins a fault
	}{
		{"nothing is done", func(*testing.T, *intruder) {}, nil},
		{"an event is deleted", func(t *testing.T, x *intruder) { x.delete("JOBS", 2) }, []string{"JOBS/2: missing"}},
		{"the last event is deleted", func(t *testing.T, x *intruder) { x.delete("JOBS", 5) }, []string{"JOBS/5: missing"}},
		{"an action is deleted", func(t *testing.T, x *intruder) { x.delete("ACTIONS", 1) }, []string{"ACTIONS/1: missing"}},
		{"the oldest refusals are purged", func(t *testing.T, x *intruder) { x.purge("ATTEMPTS", 3) }, []string{"ATTEMPTS/1: missing", "ATTEMPTS/2: missing"}},
		{"all events are purged", func(t *testing.T, x *intruder) { x.purge("JOBS", 0) }, []string{"JOBS/1: missing", "JOBS/5: missing"}},
		{"the stream of events is deleted", func(t *testing.T, x *intruder) { x.deleteStream("JOBS") }, []string{"JOBS: missing: the stream was removed"}},
		{"an event is changed", func(t *testing.T, x *intruder) {
			x.rewrite("JOBS", func(all []*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg {
				all[2].Data = bytes.Replace(all[2].Data, []byte("COMPLETED"), []byte("ABORTED"), 1)
				return all
			})
		}, []string{"JOBS/3: changed", "JOBS/3: hmac"}},
		{"only times are changed", func(t *testing.T, x *intruder) {
			x.rewrite("ATTEMPTS", func(all []*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg { return all })
		}, []string{"ATTEMPTS/1: changed", "ATTEMPTS/4: changed"}},
		{"two events are swapped", func(t *testing.T, x *intruder) {
			x.rewrite("JOBS", func(all []*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg {
				all[0], all[1] = all[1], all[0]
				return all
			})
		}, []string{"JOBS/1: changed", "JOBS/2: changed"}},
		{"an event is inserted, not signed by the key it names", func(t *testing.T, x *intruder) {
			x.forge("99", sign("guessed", body("99")))
		}, []string{"JOBS/6: hmac", "JOBS/6: unsealed"}},
		{"an event is inserted that is signed", func(t *testing.T, x *intruder) {
			x.forge("99", sign(theKey, body("99")))
		}, []string{"JOBS/6: unsealed"}},
		{"the newest checkpoint is deleted", func(t *testing.T, x *intruder) { x.delete("CHECKPOINTS", x.last("CHECKPOINTS")) },
			[]string{"CHECKPOINTS/6: missing", "ACTIONS: rolled_back"}},
		{"an old checkpoint is deleted", func(t *testing.T, x *intruder) { x.delete("CHECKPOINTS", 1) }, []string{"CHECKPOINTS/1: missing"}},
		{"all checkpoints are deleted", func(t *testing.T, x *intruder) { x.deleteStream("CHECKPOINTS") },
			[]string{"JOBS: rolled_back: no checkpoint is stored", "ATTEMPTS: rolled_back"}},
		{"an old checkpoint is put back", func(t *testing.T, x *intruder) { x.checkpoint("JOBS", x.get("CHECKPOINTS", 1).Data) },
			[]string{"JOBS: rolled_back: the stored checkpoint is of size 3"}},
		{"a checkpoint of nothing is put there", func(t *testing.T, x *intruder) { x.checkpoint("JOBS", []byte("nothing\n")) },
			[]string{"CHECKPOINTS/7: checkpoint", "JOBS: checkpoint: store"}},
		{"a checkpoint is signed with another key", func(t *testing.T, x *intruder) {
			x.checkpoint("JOBS", resign(t, otherKey(t), x.newest("JOBS"), nil))
		}, []string{"JOBS: checkpoint: store: checkpoint is not signed by a configured log key"}},
		{"a checkpoint of another history is signed with the stolen key", func(t *testing.T, x *intruder) {
			x.checkpoint("JOBS", resign(t, x.key(), x.newest("JOBS"), func(text string) string {
				return strings.Replace(text, "\n5\n", "\n4\n", 1)
			}))
		}, []string{"JOBS: fork"}},
		{"a tile is deleted", func(t *testing.T, x *intruder) { x.tile("test/JOBS/tile/0/000.p/5", nil) }, []string{"JOBS: tile: tile/0/000.p/5: it is missing"}},
		{"a tile is changed", func(t *testing.T, x *intruder) { x.tile("test/JOBS/tile/0/000.p/5", make([]byte, 5*32)) },
			[]string{"JOBS: tile: tile/0/000.p/5: it does not match the checkpoint"}},
		{"the bucket of tiles is deleted", func(t *testing.T, x *intruder) { x.deleteStream("OBJ_TILES") }, []string{"JOBS: tile", "ATTEMPTS: tile", "ACTIONS: tile"}},
		{"the folder is put back to an older copy", func(t *testing.T, x *intruder) { x.rollBack() },
			[]string{"JOBS: rolled_back: the stored checkpoint is of size 3", "JOBS/4: missing", "JOBS/5: missing"}},
		{"store and checkpoint file are put back, but not the anchor", func(t *testing.T, x *intruder) {
			x.rollBack()
			kept, err := anchor.ReadFile(filepath.Join(x.dir, "receiver-checkpoints"))
			x.must(err)
			x.file(append(bytes.Clone(kept[0].Note), '\n'))
		}, []string{"JOBS: rolled_back: the stored checkpoint is of size 3, but {dir}/anchor/", "JOBS/5: missing"}},
		{"the anchor is gone", func(_ *testing.T, x *intruder) { x.must(os.RemoveAll(filepath.Join(x.dir, "anchor"))) },
			[]string{"audit.anchors: checkpoint: reading folder of checkpoints"}},
		{"the checkpoint file is removed", func(t *testing.T, x *intruder) { x.file(nil) }, []string{"audit.checkpoint_file: checkpoint"}},
		{"the checkpoint file is another's", func(t *testing.T, x *intruder) {
			x.file(append(resign(t, otherKey(t), x.newest("JOBS"), nil), '\n'))
		}, []string{"JOBS: checkpoint: " + "{dir}/receiver-checkpoints, note 1"}},
		{"the checkpoint file is emptied", func(t *testing.T, x *intruder) { x.file([]byte{}) }, []string{"audit.checkpoint_file: checkpoint"}},
		{"the checkpoint file is rubbish", func(t *testing.T, x *intruder) { x.file([]byte("rubbish")) }, []string{"audit.checkpoint_file: checkpoint"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			row.tamper(t, x)
			x.leave()
			code, report := auditVerify(t, x.dir)
			if want := len(row.want) > 0; (code == exitFailed) != want || report.OK == want {
				t.Errorf("audit verify = exit %d, ok %v with faults %v, want faults: %v", code, report.OK, report.faults(), want)
			}
			for _, want := range row.want {
				want = strings.ReplaceAll(want, "{dir}", x.dir)
				if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
					t.Errorf("no fault begins with %q; there are\n%v", want, report.faults())
				}
			}
		})
	}
}

const theKey = "the signature key of the source"

func body(id string) []byte { return fmt.Appendf(nil, `{"id":"%s","status":"COMPLETED"}`, id) }

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedEvent is an event as the receiver makes one of a callback.
func signedEvent(t *testing.T, id, signature string) job.Event {
	t.Helper()
	view, err := job.Read(body(id))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := config.NewSecret(theKey).Fingerprint()
	return job.Event{
		Kind: job.Finished, Source: "demo", Job: view, Time: time.Now(), Evidence: job.ByCallback, Data: body(id),
		Receipt: &job.Receipt{Signature: signature, Key: "first", Fingerprint: fingerprint, Remote: "192.0.2.7", Received: time.Now()},
	}
}

// refusal is an attempt as the receiver makes one of a callback that is not signed rightly.
func refusal() job.Attempt {
	a := job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Signature: sign("guessed", body("1")), Received: time.Now()}, Body: body("1")}
	a.Size, a.SHA256 = int64(len(a.Body)), job.BodySHA256(a.Body)
	return a
}

// sealedFolder creates a folder with a configuration and a store of five events, four refusals and
// an action, sealed in two steps. A copy of the state after the first step is in old.
func sealedFolder(t *testing.T) string {
	t.Helper()
	return sealedFolderWith(t, "{directory: anchor}")
}

// sealedFolderWith is sealedFolder with other anchors.
func sealedFolderWith(t *testing.T, anchors string) string {
	t.Helper()
	dir := configuredFolder(t, anchors)
	for i, events := range [][]string{{"1", "2", "3"}, {"4", "5"}} {
		sealMore(t, dir, events)
		if i == 0 {
			if err := os.CopyFS(filepath.Join(dir, "old"), os.DirFS(filepath.Join(dir, "receiver-data"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// configuredFolder creates a folder with a configuration, and no store yet.
func configuredFolder(t *testing.T, anchors string) string {
	t.Helper()
	dir := t.TempDir()
	key, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"log.key": key.Secret() + "\n",
		"config.yaml": `sources: {demo: {signature_keys: [{name: first, value: "` + theKey + `"}]}}
audit: {name: test, key: "file:log.key", anchors: [` + anchors + `]}
nats: {embedded: {address: "127.0.0.1:0"}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "anchor"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sealMore stores events, two refusals and an action, and seals them.
func sealMore(t *testing.T, dir string, events []string) {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	defer bus.Close(context.Background())
	for _, id := range events {
		if _, err := bus.Publish(t.Context(), signedEvent(t, id, sign(theKey, body(id)))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := bus.Record(t.Context(), refusal()); err != nil {
			t.Fatal(err)
		}
	}
	if err := service.RecordAction(t.Context(), bus, job.Action{What: job.ActionStart}, nil); err != nil {
		t.Fatal(err)
	}
	keepers, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if err := keepers.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := keepers.Close(); err != nil {
		t.Fatal(err)
	}
}

// intruder has everything that the receiver has: a copy of its folder, and its server,
// as the owner.
type intruder struct {
	t      *testing.T
	dir    string
	server *natsserver.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	after  []func() // done when the server has stopped
}

func intrude(t *testing.T, base string) *intruder {
	t.Helper()
	x := &intruder{t: t, dir: t.TempDir()}
	x.must(os.CopyFS(x.dir, os.DirFS(base)))
	folder := filepath.Join(x.dir, "receiver-data")
	server, err := natsserver.Start(natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0", Log: zerolog.Nop()})
	x.must(err)
	x.server = server
	owner, err := nats.NkeyOptionFromSeed(filepath.Join(folder, "owner.nk"))
	x.must(err)
	x.nc, err = nats.Connect(server.URL(), owner)
	x.must(err)
	x.js, err = jetstream.New(x.nc, jetstream.WithDefaultTimeout(time.Minute))
	x.must(err)
	return x
}

func (x *intruder) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *intruder) leave() {
	x.nc.Close()
	x.server.Stop()
	for _, f := range x.after {
		f()
	}
}

func (x *intruder) stream(name string) jetstream.Stream {
	s, err := x.js.Stream(x.t.Context(), name)
	x.must(err)
	return s
}

func (x *intruder) last(stream string) uint64 { return x.stream(stream).CachedInfo().State.LastSeq }

func (x *intruder) get(stream string, seq uint64) *jetstream.RawStreamMsg {
	m, err := x.stream(stream).GetMsg(x.t.Context(), seq)
	x.must(err)
	return m
}

func (x *intruder) delete(stream string, seq uint64) {
	x.must(x.stream(stream).DeleteMsg(x.t.Context(), seq))
}

// purge removes all messages, or those before a sequence.
func (x *intruder) purge(stream string, before uint64) {
	var opts []jetstream.StreamPurgeOpt
	if before > 0 {
		opts = append(opts, jetstream.WithPurgeSequence(before))
	}
	x.must(x.stream(stream).Purge(x.t.Context(), opts...))
}

func (x *intruder) deleteStream(name string) { x.must(x.js.DeleteStream(x.t.Context(), name)) }

// rewrite puts another stream in the place of one.
func (x *intruder) rewrite(name string, edit func([]*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg) {
	s := x.stream(name)
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= x.last(name); seq++ {
		all = append(all, x.get(name, seq))
	}
	x.deleteStream(name)
	_, err := x.js.CreateStream(x.t.Context(), s.CachedInfo().Config)
	x.must(err)
	for _, m := range edit(all) {
		_, err := x.js.PublishMsg(x.t.Context(), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		x.must(err)
	}
}

// forge publishes an event as the receiver does.
func (x *intruder) forge(id, signature string) {
	e := signedEvent(x.t, id, signature)
	_, err := x.js.PublishMsg(x.t.Context(), &nats.Msg{Subject: e.Subject(), Header: e.Header().Map(), Data: e.Data})
	x.must(err)
}

// newest returns the newest checkpoint of a log.
func (x *intruder) newest(stream string) []byte {
	m, err := x.stream("CHECKPOINTS").GetLastMsgForSubject(x.t.Context(), "checkpoints.test."+stream)
	x.must(err)
	return m.Data
}

func (x *intruder) checkpoint(stream string, note []byte) {
	_, err := x.js.Publish(x.t.Context(), "checkpoints.test."+stream, note)
	x.must(err)
}

func (x *intruder) key() logkey.Key {
	text, err := os.ReadFile(filepath.Join(x.dir, "log.key"))
	x.must(err)
	key, err := logkey.Parse(strings.TrimSuffix(string(text), "\n"))
	x.must(err)
	return key
}

func (x *intruder) tile(name string, data []byte) {
	bucket, err := x.js.ObjectStore(x.t.Context(), "TILES")
	x.must(err)
	if data == nil {
		x.must(bucket.Delete(x.t.Context(), name))
		return
	}
	_, err = bucket.PutBytes(x.t.Context(), name, data)
	x.must(err)
}

// rollBack puts the store back to what it was before.
func (x *intruder) rollBack() {
	x.after = append(x.after, func() {
		folder := filepath.Join(x.dir, "receiver-data")
		x.must(os.RemoveAll(folder))
		x.must(os.Rename(filepath.Join(x.dir, "old"), folder))
	})
}

// file replaces the checkpoint file, or removes it.
func (x *intruder) file(data []byte) {
	path := filepath.Join(x.dir, "receiver-checkpoints")
	if data == nil {
		x.must(os.Remove(path))
		return
	}
	x.must(os.WriteFile(path, data, 0o600))
}

func otherKey(t *testing.T) logkey.Key {
	t.Helper()
	key, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// resign signs the text of a checkpoint, perhaps changed, with a key.
func resign(t *testing.T, key logkey.Key, signed []byte, change func(string) string) []byte {
	t.Helper()
	text, _, _ := strings.Cut(string(signed), "\n\n")
	text += "\n"
	if change != nil {
		text = change(text)
	}
	signer, err := key.Signer(audit.Origin("receiver", "test", "JOBS"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A receiver does not start on a store that is behind its checkpoints. On an operator's word it
// goes on receiving, and says loudly that its log was rolled back.
func TestAReceiverThatFindsItsLogRolledBackSaysSo(t *testing.T) {
	t.Parallel()
	x := intrude(t, sealedFolder(t))
	x.rollBack()
	x.leave()
	var out bytes.Buffer
	command := func(args ...string) int {
		return run(t.Context(), append([]string{"--config", filepath.Join(x.dir, "config.yaml")}, args...), strings.NewReader(""), &out, &out)
	}
	if code := command("serve"); code != exitFailed || !strings.Contains(out.String(), "according to a signed checkpoint") {
		t.Errorf("serve = exit %d, %s, want it to name what the checkpoints tell of", code, &out)
	}
	if code := command("streams", "mend", "--accept-loss"); code != exitDone {
		t.Fatalf("streams mend --accept-loss = exit %d, %s", code, &out)
	}
	cfg, err := config.Load(config.Options{Path: filepath.Join(x.dir, "config.yaml"), Env: []string{
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	in, err := service.Start(t.Context(), cfg, zerolog.New(zerolog.SyncWriter(&log)))
	if err != nil {
		t.Fatal(err)
	}
	_, sealErr := in.Seal(t.Context())
	if sealErr == nil || !strings.Contains(sealErr.Error(), "rolled back") {
		t.Errorf("Seal = %v, want that the log was rolled back", sealErr)
	}
	metrics := get(t, in.PrivateURL()+"/metrics")
	if about, text := answered[api.Logs](t, "GET", in.PrivateURL()+"/v1/log"); len(about.Logs) != 3 || !about.Logs[0].Fork {
		t.Errorf("GET /v1/log does not tell of it: %s", text)
	}
	if page := get(t, in.PrivateURL()+"/evidence"); !strings.Contains(page, "It contradicts itself, and is sealed no more") {
		t.Errorf("the page does not tell of it: %s", page)
	}
	if err := in.Stop(); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("stop = %v, want it to say that the last sealing was refused", err)
	}
	if !strings.Contains(metrics, `receiver_audit_fork{stream="JOBS"} 1`) {
		t.Errorf("no metric tells of the fork:\n%s", metrics)
	}
	if !strings.Contains(log.String(), "the audit log contradicts itself") {
		t.Errorf("the log does not tell of it:\n%s", &log)
	}
	proofs, err := filepath.Glob(filepath.Join(x.dir, "receiver-checkpoints.fork-*"))
	if err != nil || len(proofs) != 3 {
		t.Errorf("the proofs are %v, %v, want one for each log", proofs, err)
	}
	for _, path := range proofs {
		if kept, err := anchor.ReadFile(path); err != nil || len(kept) != 2 {
			t.Errorf("%s holds %d checkpoints, %v, want both of the fork", path, len(kept), err)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// verified is what audit verify found.
type verified struct{ records.Verified }

// auditVerify runs audit verify with the configuration of a folder.
func auditVerify(t *testing.T, dir string, more ...string) (code int, report verified) {
	t.Helper()
	var out bytes.Buffer
	args := append([]string{"--config", filepath.Join(dir, "config.yaml"), "audit", "verify", "-o", "json"}, more...)
	code = run(t.Context(), args, strings.NewReader(""), &out, io.Discard)
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Errorf("audit verify printed %q: %v", &out, err)
	}
	return code, report
}

// faults are all faults of a report.
func (v verified) faults() []audit.Fault {
	all := v.Faults
	for _, r := range v.Logs {
		all = append(all, r.Faults...)
	}
	return all
}
