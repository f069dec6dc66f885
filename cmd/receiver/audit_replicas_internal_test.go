package main

import (
	"bytes"
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/audittest"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// Of two replicas one seals and the other follows; when the first ends the other goes on.
// Both keep every checkpoint they see, and all of them are of one history.
func TestTwoReplicasSealOneLog(t *testing.T) {
	dir := sealedFolder(t)
	load := func(file string) *config.Config {
		cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: []string{
			"RECEIVER_AUDIT_CHECKPOINT_FILE=" + file, "RECEIVER_AUDIT_INTERVAL=100ms",
		}})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	first, second := load("receiver-checkpoints"), load("second-checkpoints")
	server, bus, err := service.OpenStore(t.Context(), first, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	other, err := publish.Open(t.Context(), server, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, stopA := sealingWith(t, first, bus)
	b, stopB := sealingWith(t, second, other)
	var wg sync.WaitGroup
	wg.Go(func() { fill(t, bus, 300) })
	wg.Go(func() { fillAttempts(t, other, 50) })
	wg.Wait()
	for _, k := range []*logs.Keepers{a, b} {
		if cps, err := k.Seal(t.Context()); err != nil || cps[0].Tree.N != 305 || cps[1].Tree.N != 54 {
			t.Fatalf("Seal = %v, %v, want 305 events and 54 attempts", cps, err)
		}
	}
	stopA()
	forgeOne(t, other)
	if cps, err := b.Seal(t.Context()); err != nil || cps[0].Tree.N != 306 {
		t.Fatalf("Seal of the one that is left = %v, %v, want 306 events", cps, err)
	}
	stopB()
	if err := bus.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := other.Close(context.Background()); err != nil {
		t.Error(err)
	}
	server.Stop()
	for _, file := range []string{"receiver-checkpoints", "second-checkpoints"} {
		kept, err := anchor.ReadFile(filepath.Join(dir, file))
		logs := map[string]bool{}
		for _, c := range kept {
			cp, wrong := audit.ReadCheckpoint(c.Note)
			err, logs[cp.Origin] = cmp.Or(err, wrong), true
		}
		if err != nil || len(logs) != 3 {
			t.Errorf("%s holds checkpoints of %d logs, %v, want 3", file, len(logs), err)
		}
		t.Setenv("RECEIVER_AUDIT_CHECKPOINT_FILE", file)
		if code, report := auditVerify(t, dir); code != exitDone {
			t.Errorf("audit verify with %s = exit %d, %v, want 0", file, code, report.faults())
		}
	}
}

// sealingWith runs a keeper until stop.
func sealingWith(t *testing.T, cfg *config.Config, bus *publish.Store) (k *logs.Keepers, stop func()) {
	t.Helper()
	k, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	return k, func() {
		cancel()
		<-done
		if err := k.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}
}

func fillAttempts(t *testing.T, bus *publish.Store, n int) {
	t.Helper()
	for range n {
		if err := bus.Record(t.Context(), refusal()); err != nil {
			t.Error(err)
		}
	}
}

func forgeOne(t *testing.T, bus *publish.Store) {
	t.Helper()
	if _, err := bus.Publish(t.Context(), signedEvent(t, "one-more", sign(theKey, body("one-more")))); err != nil {
		t.Fatal(err)
	}
}

// A witness's cosignature is kept with the checkpoint; one that is away keeps nothing up.
func TestWitnessesCosignWhatIsSealed(t *testing.T) {
	t.Parallel()
	w := audittest.NewWitness("witness.example/w1")
	dir := sealedFolder(t)
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Audit.Anchors = []config.Anchor{
		{Directory: "anchor"},
		{Witness: "http://127.0.0.1:1", Key: w.Key.VerifierKey()}, // no server listens there
		{Witness: w.Serve(t), Key: w.Key.VerifierKey()},
	}
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	defer bus.Close(context.Background())
	forgeOne(t, bus)
	_, stop := sealingWith(t, cfg, bus)
	stop()
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		t.Fatal(err)
	}
	for stream, leaves := range map[string]int64{conn.JobsStream: 6, conn.AttemptsStream: 4, conn.ActionsStream: 2} {
		log, err := logs.Open(t.Context(), bus, cfg.Audit, stream, keys)
		if err != nil {
			t.Fatal(err)
		}
		cp, err := log.Checkpoint(t.Context())
		if err != nil || cp.Tree.N != leaves || len(cp.Cosignatures) != 1 || cp.Cosignatures[0].Witness != w.Key.Name() {
			t.Fatalf("the checkpoint of %s is %+v, %v, want %d leaves and the witness's cosignature", stream, cp, err, leaves)
		}
		for where, read := range map[string]func() ([]audit.Kept, error){
			"the checkpoint file": func() ([]audit.Kept, error) {
				return anchor.ReadFile(filepath.Join(dir, "receiver-checkpoints"))
			},
			"the directory": func() ([]audit.Kept, error) {
				return anchor.Dir{Path: filepath.Join(dir, "anchor")}.Read(cp.Origin)
			},
		} {
			kept, err := read()
			found := slices.ContainsFunc(kept, func(k audit.Kept) bool { return bytes.Equal(k.Note, cp.Note) })
			if err != nil || !found {
				t.Errorf("%s does not hold the cosigned checkpoint of %s (%v)", where, stream, err)
			}
		}
	}
}
