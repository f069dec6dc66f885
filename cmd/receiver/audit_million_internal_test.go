package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/bench"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// Two thousand records take more than one file of tiles and, below 16384, one checkpoint.
func TestVerifyOfManyRecords(t *testing.T) { verifyRecords(t, 2000) }

// verifyRecords times audit verify of n signed events, through the receiver that has them
// open, then from a private copy, and in an archive.
func verifyRecords(t *testing.T, n int) {
	dir := sealedFolder(t)
	path := filepath.Join(dir, "config.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("nats: {"), []byte("nats: {sync: interval, "), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			_ = bus.Close(context.Background()) // everything is acknowledged
			server.Stop()
		}
		stopped = true
	}
	defer stop()
	timed(t, "storing", func() { fill(t, bus, n) })
	keepers, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	timed(t, "sealing", func() {
		if err := keepers.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if err := keepers.Close(); err != nil {
		t.Fatal(err)
	}
	check := func() {
		if code, report := auditVerify(t, dir); code != exitDone || report.Logs[0].Reverified != int64(n+5) {
			t.Fatalf("audit verify = exit %d, %+v, want %d signatures checked", code, report, n+5)
		}
	}
	timed(t, "verifying through the receiver", check)
	stop()
	timed(t, "verifying from a private copy", check)
	archive := filepath.Join(t.TempDir(), "archive")
	timed(t, "exporting, and verifying the archive", func() {
		var out bytes.Buffer
		if code := run(t.Context(), []string{"--config", path, "audit", "export", "--since", "all", archive}, strings.NewReader(""), &out, &out); code != exitDone {
			t.Fatalf("audit export = exit %d: %s", code, &out)
		}
	})
	timed(t, "verifying the archive again", func() {
		if code, report := auditVerify(t, dir, "--export", archive); code != exitDone || report.Logs[0].Reverified != int64(n+5) {
			t.Fatalf("audit verify --export = exit %d, %+v, want %d signatures checked", code, report, n+5)
		}
	})
}

func timed(t *testing.T, what string, do func()) {
	t.Helper()
	began, before := time.Now(), bench.ReadUsage(os.Getpid())
	do()
	t.Logf("%s: %.1f s, %.1f s of CPU", what, time.Since(began).Seconds(), (bench.ReadUsage(os.Getpid()).CPU - before.CPU).Seconds())
}

// fill stores n signed events, from many callers at once.
func fill(t *testing.T, bus *publish.Store, n int) {
	t.Helper()
	var wg sync.WaitGroup
	ids := make(chan int)
	for range 128 {
		wg.Go(func() {
			for i := range ids {
				id := fmt.Sprintf("job-%d", i)
				if _, err := bus.Publish(t.Context(), signedEvent(t, id, sign(theKey, body(id)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		ids <- i
	}
	close(ids)
	wg.Wait()
}
