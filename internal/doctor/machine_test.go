package doctor_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
)

func TestDisk(t *testing.T) {
	const gib = 1 << 30
	growth := doctor.Growth{AttemptsMax: gib, Attempts: gib / 2, Events: gib, Over: 10 * 24 * time.Hour, EventsAge: 90 * 24 * time.Hour}
	disk := func(free int64) []doctor.Finding { return doctor.Disk{Folder: "/d", Free: free}.Findings(growth) }
	hold(t, []row{
		{"room for all", disk(9 * gib), doctor.OK, "9 GiB of disk space are free", ""},
		{"events will not fit", disk(8 * gib), doctor.Warning, "events will take 8 GiB more", ""},
		{"attempts do not fit", disk(gib / 2), doctor.Warning, "records of refused callbacks may take 512 MiB more", ""},
		{"full", disk(255 << 20), doctor.Error, "255 MiB of disk space are free", ""},
		{"nothing known", doctor.Disk{Free: gib}.Findings(doctor.Growth{}), doctor.OK, "1 GiB of disk space are free", ""},
		{"too early to tell", doctor.Disk{Free: gib}.Findings(doctor.Growth{Events: gib, Over: time.Hour, EventsAge: 2160 * time.Hour}), doctor.OK, "free", ""},
		{"memory", doctor.Disk{Free: gib, Kind: "memory"}.Findings(doctor.Growth{}), doctor.Error, "in memory", "nats.embedded.folder"},
		{"network", doctor.Disk{Free: gib, Kind: "network"}.Findings(doctor.Growth{}), doctor.Warning, "network", "nats.embedded.folder"},
		{"layer", doctor.Disk{Free: gib, Kind: "layer"}.Findings(doctor.Growth{}), doctor.Warning, "container", "nats.embedded.folder"},
	})
}

func TestMeasureDisk(t *testing.T) {
	d, err := doctor.MeasureDisk(t.TempDir())
	if err != nil || d.Free <= 0 || d.Folder == "" {
		t.Errorf("MeasureDisk = %+v, %v", d, err)
	}
	if d, err := doctor.MeasureDisk("/dev/shm"); err == nil && d.Kind != "memory" {
		t.Errorf("MeasureDisk(/dev/shm) = %+v, want that it is memory", d)
	}
	if _, err := doctor.MeasureDisk(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("MeasureDisk of no folder = nil")
	}
}

func TestMeasureFsyncLeavesNothingBehind(t *testing.T) {
	folder := t.TempDir()
	got, err := doctor.MeasureFsync(t.Context(), folder)
	if err != nil || got.Times < 5 || got.Median <= 0 || got.Worst < got.Median || got.Folder != folder {
		t.Errorf("MeasureFsync = %+v, %v", got, err)
	}
	if skew := got.Clock.Skew(); skew != 0 {
		t.Errorf("the clock of a local file system is %v off", skew)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.MeasureFsync(stopped, folder); err == nil {
		t.Error("MeasureFsync without time = nil")
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("the folder holds %v, %v afterwards, want nothing", left, err)
	}
	if _, err := doctor.MeasureFsync(t.Context(), filepath.Join(folder, "none")); err == nil {
		t.Error("MeasureFsync in no folder = nil")
	}
}

func TestFsync(t *testing.T) {
	always := func(d time.Duration) []doctor.Finding {
		return doctor.Fsync{Folder: "/d", Median: d, Worst: 2 * d, Times: 40, Staged: true}.Findings(true)
	}
	onDisk := doctor.Fsync{Median: 10 * time.Millisecond, Times: 40}
	hold(t, []row{
		{"an SSD", always(500 * time.Microsecond), doctor.OK, "fsync takes 500µs here (median of 40; the worst 1ms): about 2000 callbacks a second one after another, 25000 with 64 at the same time", ""},
		{"a disk", always(10 * time.Millisecond), doctor.OK, "about 100 callbacks a second one after another, 6400 with", ""},
		{"no memory to stage in", onDisk.Findings(true), doctor.Note, "about 100 callbacks a second one after another, 1600 with", ""},
		{"no memory, and none wanted", onDisk.Findings(false), doctor.OK, "callbacks do not wait for it", ""},
		{"a slow disk", always(60 * time.Millisecond), doctor.Warning, "about 16 callbacks", "nats.embedded.folder"},
		{"a hopeless disk", always(2 * time.Second), doctor.Error, "fsync takes 2s", "nats.embedded.folder"},
		{"too good", always(5 * time.Microsecond), doctor.Note, "fsync takes 5µs", ""},
		{"no time at all", always(0), doctor.Note, "fsync takes 0s", ""},
		{"not waited for", doctor.Fsync{Median: 2 * time.Second, Times: 5}.Findings(false), doctor.OK, "callbacks do not wait for it", ""},
	})
}

func TestFileLimit(t *testing.T) {
	one := func(n uint64) []doctor.Finding { return []doctor.Finding{doctor.FileLimit(n)} }
	hold(t, []row{
		{"usual", one(1 << 20), doctor.OK, "open 1048576 files", ""},
		{"tight", one(4095), doctor.Warning, "open 4095 files", ""},
		{"few", one(1023), doctor.Error, "open 1023 files", ""},
	})
	if n, err := doctor.MaxFiles(); err != nil || n == 0 {
		t.Errorf("MaxFiles = %d, %v", n, err)
	}
}

func TestFiles(t *testing.T) {
	folder := t.TempDir()
	put := func(name string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir := func(name string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	judge := func(path string, secret bool) []doctor.Finding {
		return doctor.Files([]doctor.File{doctor.Stat(path, "the secret file", secret)})
	}
	open := put("open.key", 0o644)
	hold(t, []row{
		{"private", judge(put("private.key", 0o600), true), doctor.OK, "accessible only to their owner: 1", ""},
		{"readable", judge(open, true), doctor.Warning, "open.key can be read by others (mode 0644)", ""},
		{"readable and no secret", judge(open, false), doctor.OK, "accessible only to their owner", ""},
		{"writable by the group", judge(put("group.key", 0o620), true), doctor.Warning, "changed by its group", ""},
		{"writable by all", judge(put("all.key", 0o602), false), doctor.Error, "changed by every user", ""},
		{"a folder", judge(dir("store", 0o700), true), doctor.OK, "accessible only to their owner", ""},
		{"an open folder", judge(dir("open", 0o755), true), doctor.Warning, "open can be read by others (mode 0755)", ""},
		{"not there", judge(filepath.Join(folder, "none"), true), doctor.OK, "accessible only to their owner", ""},
		{"not to be looked at", judge(filepath.Join(open, "below"), true), doctor.Warning, "cannot be checked", ""},
	})
	if f := judge(open, true)[0]; f.Change != "chmod 600 "+open {
		t.Errorf("the change is %q, want the exact command", f.Change)
	}
	if f := judge(filepath.Join(folder, "open"), true)[0]; !strings.HasPrefix(f.Change, "chmod 700 ") {
		t.Errorf("the change is %q, want a folder to stay one that can be entered", f.Change)
	}
}
