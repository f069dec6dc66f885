package archive_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

var jobs = []string{"JOBS", "ATTEMPTS", "ACTIONS"}

// exportTo exports a range of a log into a folder of the log.
func exportTo(t testing.TB, w *audittest.World, dir string, from, to uint64) {
	t.Helper()
	if err := archive.Export(t.Context(), w.Log, filepath.Join(dir, "JOBS"), archive.Options{From: from, To: to}); err != nil {
		t.Fatal(err)
	}
}

// sequences reads a series, and returns which ranges it has.
func sequences(t testing.TB, s *archive.Series, from, to uint64) (ranges string, err error) {
	t.Helper()
	var text []string
	var first, last uint64
	end := func() {
		if first > 0 {
			text = append(text, fmt.Sprintf("%d-%d", first, last))
		}
	}
	err = s.Records(t.Context(), from, to, func(r audit.Record) error {
		if last == 0 || r.Seq != last+1 {
			end()
			first = r.Seq
		}
		last = r.Seq
		return nil
	})
	end()
	return strings.Join(text, " "), err
}

// TestArchivesAreReadAsOneLog holds which records a folder of several archives has, and that its
// proofs are those of the newest.
func TestArchivesAreReadAsOneLog(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ranges [][2]uint64 // exported one after the other, 100 records sealed before each
		want   string
		gaps   []archive.Gap
	}{
		{"one", [][2]uint64{{1, 100}}, "1-100", nil},
		{"each begins where the one before ends", [][2]uint64{{1, 100}, {101, 200}, {201, 300}}, "1-300", nil},
		{"overlapping", [][2]uint64{{1, 100}, {51, 150}, {140, 300}}, "1-300", nil},
		{"one within another", [][2]uint64{{1, 100}, {20, 30}, {101, 300}}, "1-300", nil},
		{"a gap", [][2]uint64{{1, 100}, {151, 200}}, "1-100 151-200", []archive.Gap{{Origin: audittest.Origin, From: 101, To: 150}}},
		{"an empty one between", [][2]uint64{{1, 100}, {300, 250}, {101, 300}}, "1-300", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, w := t.TempDir(), audittest.NewWorld(t, 0)
			for i, r := range tt.ranges {
				w.Stream.Add(100)
				w.Seal(t)
				exportTo(t, w, filepath.Join(dir, fmt.Sprintf("2026-%02d", i)), r[0], r[1])
			}
			if err := os.Mkdir(filepath.Join(dir, ".unfinished-2027"), 0o700); err != nil {
				t.Fatal(err)
			}
			s, err := archive.OpenSeries(dir, jobs, "JOBS")
			if err != nil || s == nil {
				t.Fatalf("OpenSeries = %v, %v", s, err)
			}
			if got, err := sequences(t, s, 1, 1<<40); got != tt.want || err != nil {
				t.Errorf("records = %s, %v, want %s", got, err, tt.want)
			}
			log, err := s.Log(audittest.Keys(t))
			if err != nil {
				t.Fatal(err)
			}
			b, err := log.Prove(t.Context(), 1, 100)
			if err == nil {
				_, err = b.Check(audittest.Keys(t), nil)
			}
			if err != nil {
				t.Errorf("proving the oldest: %v", err)
			}
			all, err := archive.OpenAll(dir, jobs)
			if err != nil {
				t.Fatal(err)
			}
			if got := archive.Gaps(all); !slices.Equal(got, tt.gaps) {
				t.Errorf("Gaps = %v, want %v", got, tt.gaps)
			}
			if got := archive.Lacking(all, "JOBS", 1); !slices.Equal(got, tt.gaps) {
				t.Errorf("Lacking from 1 = %v, want %v", got, tt.gaps)
			}
			if got := archive.Lacking(all, "JOBS", 301); !slices.Equal(got, []archive.Gap{{Origin: "JOBS", From: 301, To: 301}}) {
				t.Errorf("Lacking from 301 = %v, want 301", got)
			}
		})
	}
}

// A log that was renamed goes on in later archives; a log with another tree is another one.
func TestArchivesOfARenamedLogAreReadAsOneLog(t *testing.T) {
	for _, tt := range []struct {
		name    string
		size    int // of the log when it was renamed
		another bool
		want    string // an error
	}{
		{"renamed, and went on", 100, false, ""},
		{"renamed, and nothing came since", 300, false, ""},
		{"another log", 100, true, "two logs"},
		{"another log of the same size", 300, true, "two logs"},
	} {
		dir := t.TempDir()
		for i, size := range []int{tt.size, 300} {
			w := audittest.NewWorld(t, size)
			if tt.another && i == 0 {
				w.Stream.Change(50, func(r *audit.Record) { r.Data = []byte("another") })
			}
			w.Seal(t)
			exportTo(t, w, filepath.Join(dir, fmt.Sprint(i)), 1, uint64(size))
		}
		for _, file := range []string{"log.json", "checkpoint"} {
			path := filepath.Join(dir, "0", "JOBS", file)
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), audittest.Origin, "receiver/before/JOBS")), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		s, err := archive.OpenSeries(dir, jobs, "JOBS")
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: OpenSeries = %v, want %q", tt.name, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: OpenSeries = %v", tt.name, err)
			continue
		}
		if got, err := sequences(t, s, 1, 1<<40); got != "1-300" || err != nil || s.Origin() != audittest.Origin {
			t.Errorf("%s: records of %s = %s, %v, want 1-300 of %s", tt.name, s.Origin(), got, err, audittest.Origin)
		}
	}
}

// TestArchivesOfTwoHistoriesAreAFork holds that each archive is compared with those before it.
func TestArchivesOfTwoHistoriesAreAFork(t *testing.T) {
	dir := t.TempDir()
	for i, change := range []bool{false, true} {
		w := audittest.NewWorld(t, 100*(i+1))
		if change {
			w.Stream.Change(50, func(r *audit.Record) { r.Data = []byte("another") })
		}
		w.Seal(t)
		exportTo(t, w, filepath.Join(dir, fmt.Sprint(i)), uint64(100*i+1), 0)
	}
	all, err := archive.OpenAll(dir, jobs)
	if err != nil || len(all) != 2 {
		t.Fatalf("OpenAll = %v, %v", all, err)
	}
	earlier := archive.Earlier(all)
	for i, a := range all {
		r, err := a.Folders[0].Verify(t.Context(), audittest.Keys(t), verification.Options{Kept: earlier[a.Folders[0]]})
		if err != nil {
			t.Fatal(err)
		}
		if forked := slices.ContainsFunc(r.Faults, func(f audit.Fault) bool { return f.Kind == audit.Forked }); forked != (i == 1) {
			t.Errorf("archive %d: faults %v", i, r.Faults)
		}
	}
}

// TestForeignArchivesAreRefusedAndBounded holds that what comes from elsewhere neither blocks nor
// fills the memory, and is named.
func TestForeignArchivesAreRefusedAndBounded(t *testing.T) {
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	pipe := func(name string) func(string) error {
		return func(dir string) error {
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil {
				return err
			}
			return exec.Command("mkfifo", path).Run()
		}
	}
	info := func(origin, stream string) string {
		return fmt.Sprintf(`{"format":"receiver-export/v1","origin":%q,"stream":%q,"first_sequence":1,"from":1,"to":100}`, origin, stream)
	}
	for _, tt := range []struct {
		name   string
		change func(dir string) error
		want   string // of the error of opening or reading; empty for none
	}{
		{"as exported", func(string) error { return nil }, ""},
		{"log.json without end", func(dir string) error { return os.Truncate(filepath.Join(dir, "log.json"), 1<<40) }, "more than 65536 bytes"},
		{"log.json a pipe", pipe("log.json"), "log.json is not a file"},
		{"log.json of a later format", write("log.json", `{"format":"receiver-export/v2"}`), "is not of format receiver-export/v1"},
		{"a stream that is not the log's", write("log.json", info(audittest.Origin, "ATTEMPTS")), `names stream "ATTEMPTS", which is not that of the log`},
		{"records a pipe", pipe("records/00000000000000000001"), "00000000000000000001 is not a file"},
		{"a record of gigabytes", func(dir string) error {
			path := filepath.Join(dir, "records/00000000000000000001")
			head := binary.BigEndian.AppendUint32(nil, 1<<32-1)
			if err := os.WriteFile(path, head, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<33)
		}, "byte 0: truncated or overwritten"},
		{"a record of another stream", func(dir string) error {
			r := audittest.Record(1)
			r.Stream = "ATTEMPTS"
			leaf, err := r.AppendLeaf(make([]byte, 4))
			if err != nil {
				return err
			}
			binary.BigEndian.PutUint32(leaf, uint32(len(leaf)-4))
			return os.WriteFile(filepath.Join(dir, "records/00000000000000000001"), leaf, 0o600)
		}, ""},
		{"a record twice", func(dir string) error {
			path := filepath.Join(dir, "records/00000000000000000001")
			leaves, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, append(leaves, leaves...), 0o600)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, w := t.TempDir(), audittest.NewWorld(t, 100)
			w.Seal(t)
			exportTo(t, w, dir, 0, 0)
			if err := tt.change(filepath.Join(dir, "JOBS")); err != nil {
				t.Fatal(err)
			}
			s, err := archive.OpenSeries(dir, jobs, "JOBS")
			if err == nil && s != nil {
				last := uint64(0)
				err = s.Records(t.Context(), 1, 100, func(r audit.Record) error {
					if r.Stream != "JOBS" || r.Seq <= last {
						t.Errorf("%s/%d is read behind %d", r.Stream, r.Seq, last)
					}
					last = r.Seq
					return nil
				})
			}
			if got := fmt.Sprint(err); (err != nil) != (tt.want != "") || !strings.Contains(got, tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

// TestNoArchiveHidesAnother holds that a folder is read whole: an archive that is put beside
// others, or around them, is not read in their place.
func TestNoArchiveHidesAnother(t *testing.T) {
	dir, w := t.TempDir(), audittest.NewWorld(t, 0)
	for _, name := range []string{"2026-01", "2026-02"} {
		w.Stream.Add(100)
		w.Seal(t)
		exportTo(t, w, filepath.Join(dir, name), 0, 0)
	}
	log := os.DirFS(filepath.Join(dir, "2026-01", "JOBS"))
	for _, tt := range []struct {
		name, at string // where an archive is put
		want     string
	}{
		{"nowhere", "", ""},
		{"beside the others", "JOBS", "is an archive, and has another in it, 2026-01"},
		{"around the others", ".", "is an archive, and has another in it, 2026-01"},
		{"around a log of one", "2026-02", "is the folder of a log, and has that of another in it"},
		{"in one", "2026-02/more", ""}, // it is in no folder where archives are looked for
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := t.TempDir()
			err := os.CopyFS(all, os.DirFS(dir))
			if err == nil && tt.at != "" {
				err = os.CopyFS(filepath.Join(all, tt.at), log)
			}
			if err != nil {
				t.Fatal(err)
			}
			found, err := archive.OpenAll(all, jobs)
			if tt.want == "" && (err != nil || len(found) != 2) || tt.want != "" && !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("OpenAll = %d archives, %v, want two or %q", len(found), err, tt.want)
			}
		})
	}
}

// TestATooLongTileIsAWrongTile holds that a tile is read no further than it may be long.
func TestATooLongTileIsAWrongTile(t *testing.T) {
	dir, _ := exported(t, archive.Options{})
	if err := os.Truncate(filepath.Join(dir, "tile/0/000"), 1<<40); err != nil {
		t.Fatal(err)
	}
	r := verifyFolder(t, dir)
	if r.OK() || len(r.Faults) != 1 || r.Faults[0].Kind != audit.BadTile {
		t.Errorf("report = %+v", r)
	}
}

// TestAnArchiveSaysWhenCheckpointsWereStored holds what the times in an archive are compared with,
// and that an archive of an earlier version, which has none, verifies.
func TestAnArchiveSaysWhenCheckpointsWereStored(t *testing.T) {
	after := audittest.Start.Add(time.Hour) // of the newest record
	for _, tt := range []struct {
		name   string
		change func(text string) string // nil removes the file
		want   string
	}{
		{"as exported", func(text string) string { return text }, ""},
		{"of an earlier version", nil, ""},
		{"empty", func(string) string { return "" }, ""},
		{"set back by a month", func(text string) string {
			return strings.ReplaceAll(text, "2026-03-01T13", "2026-02-01T13")
		}, "its time was set back"},
		{"no time", func(text string) string { return strings.ReplaceAll(text, "T", " ") }, "checkpoint-times: line 1 is not a time, a size and a root"},
		{"cut", func(text string) string { return text[:len(text)-20] }, "checkpoint-times: line 3 is not a time"},
		{"without end", func(string) string { return strings.Repeat("x", 1<<20) }, "checkpoint-times: bufio.Scanner: token too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := audittest.NewWorld(t, 200)
			kept := w.KeptAt(t, 200, 500, 700)[:2]
			for i := range kept {
				kept[i].Time = after
			}
			dir := filepath.Join(t.TempDir(), "export")
			o := archive.Options{Kept: kept, Stored: func(context.Context, []byte) (time.Time, error) { return after, nil }}
			if err := archive.Export(t.Context(), w.Log, dir, o); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "checkpoint-times")
			text, err := os.ReadFile(path)
			if err != nil || strings.Count(string(text), "\n") != 3 || !strings.HasPrefix(string(text), "2026-03-01T13:00:00.123456789Z 200 ") {
				t.Fatalf("the times are %q, %v", text, err)
			}
			if tt.change == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, []byte(tt.change(string(text))), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := verifyFolder(t, dir)
			if got := fmt.Sprint(r.Faults); r.OK() != (tt.want == "") || !strings.Contains(got, tt.want) || !r.Proved {
				t.Errorf("report = %+v, want %q", r, tt.want)
			}
		})
	}
}
