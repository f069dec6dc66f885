package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// largeFolder is sealedFolder with three files of JOBS, after a clean stop and after a kill.
func largeFolder(t *testing.T) (stopped, killed string) {
	t.Helper()
	stopped, killed = sealedFolder(t), t.TempDir()
	cfg, err := config.Load(config.Options{Path: filepath.Join(stopped, "config.yaml")})
	must(t, err)
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	must(t, err)
	for i := range 70 {
		natstest.Store(t, bus, natstest.Sized(job.Finished, fmt.Sprint(100+i), 256<<10))
	}
	_, err = bus.PutWatch(t.Context(), job.Watch{Source: "demo", Object: "contact", Job: "1", Since: time.Now(), Next: time.Now()})
	must(t, err)
	must(t, bus.Close(context.Background()))
	server.Stop()
	server, bus, err = service.OpenStore(t.Context(), cfg, zerolog.Nop())
	must(t, err)
	keepers, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: zerolog.Nop()})
	must(t, err)
	must(t, keepers.Finish(t.Context()))
	must(t, keepers.Close())
	natstest.CopyLive(t, stopped, killed)
	must(t, bus.Close(context.Background()))
	server.Stop()
	return stopped, killed
}

// linkFolder copies a folder for a test that writes nothing: messages are not copied.
func linkFolder(t *testing.T, from, to string) {
	t.Helper()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(at, 0o700)
		case filepath.Ext(path) == ".blk":
			return os.Link(path, at)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(at, data, 0o600)
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// starts opens a folder's store as serve does, and closes it.
func starts(t *testing.T, dir string) error {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	must(t, err)
	server, bus, err := service.OpenStore(t.Context(), cfg, zerolog.Nop())
	if err == nil {
		_ = bus.Close(context.Background())
		server.Stop()
	}
	return err
}

// A file that is lost is named at the next start, whatever else is lost with it, as long as one
// place knows of it.
func TestALostFileRefusesToStart(t *testing.T) {
	t.Parallel()
	stopped, killed := largeFolder(t)
	streams := filepath.Join("receiver-data", "jetstream", "RECEIVER", "streams")
	notes := []string{filepath.Join("receiver-data", "receiver.stopped"), filepath.Join("receiver-data", "receiver.running")}
	outside := append([]string{"receiver-checkpoints.store"}, notes...)
	evidence := append([]string{filepath.Join(streams, "CHECKPOINTS")}, outside...)
	all := append([]string{"receiver-checkpoints"}, evidence...)
	files := map[string][]string{}
	for _, stream := range []string{"JOBS", "ATTEMPTS", "ACTIONS", "CHECKPOINTS", "WATCH"} {
		blocks, err := filepath.Glob(filepath.Join(stopped, streams, stream, "msgs", "*.blk"))
		must(t, err)
		for _, block := range blocks {
			files[stream] = append(files[stream], filepath.Join("msgs", filepath.Base(block)))
		}
		files[stream] = append(files[stream], "msgs", "meta.inf", "")
	}
	if len(files["JOBS"]) != 6 {
		t.Fatalf("JOBS has the files %v, want three blocks", files["JOBS"])
	}
	for stream, names := range files {
		for _, name := range names {
			for with, also := range map[string][]string{"alone": nil, "notes": notes, "all notes": outside, "notes and checkpoints": evidence, "all but the anchor": all} {
				for state, from := range map[string]string{"stopped": stopped, "killed": killed} {
					if stream == "WATCH" && len(also) > len(notes) || stream == "CHECKPOINTS" && len(also) > len(outside) {
						continue // nothing else knows of WATCH, and the rows of the others are without CHECKPOINTS
					}
					t.Run(strings.Join([]string{stream, name, with, state}, ","), func(t *testing.T) {
						t.Parallel()
						dir := t.TempDir()
						linkFolder(t, from, dir)
						for _, path := range append(also, filepath.Join(streams, stream, name), filepath.Join(streams, stream, "msgs", "index.db")) {
							must(t, os.RemoveAll(filepath.Join(dir, path)))
						}
						if err := starts(t, dir); !errors.Is(err, storefolder.ErrLost) || !strings.Contains(err.Error(), stream+": ") || !strings.Contains(err.Error(), "mend --accept-loss") {
							t.Errorf("the start = %v, want ErrLost and %s", err, stream)
						}
					})
				}
			}
		}
	}
	// Without a loss, none of the places is needed.
	for with, also := range map[string][]string{"nothing": nil, "notes": notes, "all notes": outside} {
		for state, from := range map[string]string{"stopped": stopped, "killed": killed} {
			t.Run("only "+with+","+state, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				natstest.CopyFolder(t, from, dir)
				for _, path := range also {
					must(t, os.RemoveAll(filepath.Join(dir, path)))
				}
				if err := starts(t, dir); err != nil {
					t.Errorf("the start = %v, want none", err)
				}
			})
		}
	}
}

// The tiles follow from the records. A loss of tiles, at rest or in use, is a fault of audit verify
// until the next sealing, which rebuilds them and says so.
func TestLostTilesComeBack(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	atRest := func(name string) func(*testing.T, *intruder) {
		return func(_ *testing.T, x *intruder) {
			x.after = append(x.after, func() {
				x.must(os.RemoveAll(filepath.Join(x.dir, "receiver-data", "jetstream", "RECEIVER", "streams", "OBJ_TILES", name)))
			})
		}
	}
	for name, lose := range map[string]func(t *testing.T, x *intruder){
		"the bucket is removed":         func(_ *testing.T, x *intruder) { x.deleteStream("OBJ_TILES") },
		"the bucket is emptied":         func(_ *testing.T, x *intruder) { x.purge("OBJ_TILES", 0) },
		"a tile is removed":             func(_ *testing.T, x *intruder) { x.tile("test/JOBS/tile/0/000.p/5", nil) },
		"a tile is cut":                 func(_ *testing.T, x *intruder) { x.tile("test/JOBS/tile/0/000.p/5", make([]byte, 64)) },
		"a tile is changed":             func(_ *testing.T, x *intruder) { x.tile("test/JOBS/tile/0/000.p/5", make([]byte, 160)) },
		"the first messages are gone":   func(_ *testing.T, x *intruder) { x.purge("OBJ_TILES", x.last("OBJ_TILES")) },
		"its folder is gone":            atRest(""),
		"its messages are gone":         atRest("msgs"),
		"its file is gone, not its sum": atRest(filepath.Join("msgs", "1.blk")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			lose(t, x)
			x.leave()
			if code, report := auditVerify(t, x.dir); code != exitFailed || len(report.faults()) == 0 || report.faults()[0].Kind != "tile" {
				t.Errorf("audit verify before = exit %d, %v, want tiles", code, report.faults())
			}
			var out, log bytes.Buffer
			if code := run(t.Context(), []string{"--config", filepath.Join(x.dir, "config.yaml"), "audit", "seal"}, strings.NewReader(""), &out, io.MultiWriter(&out, &log)); code != exitDone || !strings.Contains(log.String(), "rebuilt from the records") {
				t.Fatalf("audit seal = exit %d, %s, want the rebuilt tiles", code, &out)
			}
			if code, report := auditVerify(t, x.dir); code != exitDone {
				t.Errorf("audit verify after = exit %d, %v", code, report.faults())
			}
		})
	}
}
