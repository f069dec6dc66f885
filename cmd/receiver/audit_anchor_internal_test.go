package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server" //nolint:depguard // a foreign server, which no code of this program runs
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/api/apitest"
	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// auditorsStream is an append-only stream on a server of others.
func auditorsStream(t *testing.T) (url string, stop func()) {
	t.Helper()
	theirs, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs.Start()
	stop = func() { theirs.Shutdown(); theirs.WaitForShutdown() }
	t.Cleanup(stop)
	if !theirs.ReadyForConnections(time.Minute) {
		t.Fatal("the auditors' NATS server is not ready after a minute")
	}
	nc, err := nats.Connect(theirs.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err == nil {
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept.>"}, AllowDirect: true, DenyDelete: true, DenyPurge: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	return theirs.ClientURL(), stop
}

// rollBackAll puts back what the operator of a receiver has in hand: the store and the
// checkpoint file.
func rollBackAll(t *testing.T, dir string) {
	t.Helper()
	folder, file := filepath.Join(dir, "receiver-data"), filepath.Join(dir, "receiver-checkpoints")
	kept, err := anchor.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var first []byte
	for _, k := range kept[:3] { // of each log, as when the copy was made
		first = append(append(first, k.Note...), '\n')
	}
	err = errors.Join(os.RemoveAll(folder), os.CopyFS(folder, os.DirFS(filepath.Join(dir, "old"))), os.WriteFile(file, first, 0o600))
	if err != nil {
		t.Fatal(err)
	}
}

// The operator of the receiver can reset its store, its checkpoint file and its own directories to
// a backup, so that all of them agree; but not a stream in the account of others.
func TestARollbackOfEverythingIsNamedThroughAnotherAccount(t *testing.T) {
	t.Parallel()
	url, stop := auditorsStream(t)
	dir := sealedFolderWith(t, fmt.Sprintf(`{nats: {urls: ["%s"], stream: KEPT, subject: kept}}`, url))
	if code, report := auditVerify(t, dir); code != exitDone {
		t.Fatalf("audit verify before = exit %d, %v, want 0", code, report.faults())
	}
	areAnchored(t, url)
	var told bytes.Buffer
	run(t.Context(), []string{"--config", filepath.Join(dir, "config.yaml"), "doctor"}, strings.NewReader(""), &told, io.Discard)
	if want := "may be removed with the receiver's credentials"; !strings.Contains(told.String(), want) {
		t.Errorf("doctor does not say %q of credentials that may do everything:\n%s", want, &told)
	}
	rollBackAll(t, dir)
	t.Run("by audit verify", func(t *testing.T) {
		code, report := auditVerify(t, dir)
		want := "JOBS: rolled_back: the stored checkpoint is of size 3, but " + url + ", KEPT/"
		named := func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }
		if code != exitFailed || !slices.ContainsFunc(report.faults(), named) {
			t.Errorf("audit verify = exit %d, %v, want %q", code, report.faults(), want)
		}
	})
	t.Run("by a receiver that starts", func(t *testing.T) { refusesToSeal(t, dir) })
	old, bogus := oldAndBogus(t, dir)
	republish(t, url, old, bogus, []byte("rubbish"))
	t.Run("by a receiver that starts, behind an old one that was told again", func(t *testing.T) { refusesToSeal(t, dir) })
	stop()
	t.Run("not while the account cannot be asked, which is said", func(t *testing.T) {
		code, report := auditVerify(t, dir)
		if code != exitFailed || len(report.Faults) != 1 || report.Faults[0].Stream != "audit.anchors" {
			t.Errorf("audit verify without the anchor = exit %d, %v, want that it cannot be read", code, report.faults())
		}
	})
}

// areAnchored fails the test unless the auditors have messages that are as api/asyncapi.yaml says.
func areAnchored(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	m, err := nc.Request("$JS.API.DIRECT.GET.KEPT.kept.test.JOBS", nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	is, err := apitest.Message{Subject: m.Header.Get("Nats-Subject"), Header: m.Header, Data: m.Data}.Check()
	if err != nil || is != "anchor/checkpoint" || m.Header.Get("Nats-Msg-Id") == "" {
		t.Errorf("the auditors have %s %v, %v, want an anchor/checkpoint with its id", is, m.Header, err)
	}
}

// oldAndBogus are what the holder of the receiver's credentials can add to an anchor: its first
// checkpoint of JOBS once more, and one that claims the largest size and has no trusted signature.
func oldAndBogus(t *testing.T, dir string) (old, bogus []byte) {
	t.Helper()
	kept, err := anchor.ReadFile(filepath.Join(dir, "receiver-checkpoints"))
	if err != nil {
		t.Fatal(err)
	}
	larger := func(text string) string { return strings.Replace(text, "\n3\n", "\n999\n", 1) }
	return kept[0].Note, resign(t, otherKey(t), kept[0].Note, larger)
}

func republish(t *testing.T, url string, notes ...[]byte) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	for _, note := range notes {
		if err == nil {
			_, err = js.Publish(t.Context(), "kept.test.JOBS", note)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A folder's newest file may be anything: what counts is the largest that is signed.
func TestARollbackIsSeenBehindABogusFile(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	rollBackAll(t, dir)
	old, bogus := oldAndBogus(t, dir)
	for name, data := range map[string][]byte{"1": old, "2": bogus, "3": []byte("rubbish")} {
		path := filepath.Join(dir, "anchor", "receiver%2Ftest%2FJOBS-9999999999999999999"+name+"-0011223344556677.checkpoint")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unreadable := filepath.Join(dir, "anchor", "receiver%2Ftest%2FJOBS-99999999999999999999-0011223344556677.checkpoint")
	if err := os.Mkdir(unreadable, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if want := "JOBS: it ends at sequence 3, but according to a signed checkpoint in " + filepath.Join(dir, "anchor"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("opening the store = %v, want %q", err, want)
	}
}

func refusesToSeal(t *testing.T, dir string) {
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
	keepers, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	var fork *audit.ForkError
	if _, err := keepers.Seal(t.Context()); !errors.As(err, &fork) || fork.Known.Tree.N != 5 || fork.Found.Tree.N != 3 {
		t.Errorf("Seal = %v, want the fork of 5 and 3 leaves", err)
	}
	if err := keepers.Close(); err != nil {
		t.Error(err)
	}
	proofs, err := filepath.Glob(filepath.Join(dir, "receiver-checkpoints.fork-*"))
	if err != nil || len(proofs) == 0 {
		t.Errorf("the proofs are %v, %v, want both checkpoints kept", proofs, err)
	}
}
