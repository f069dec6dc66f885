package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/highwayhash"

	"receiver/internal/audit"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
)

// editor changes the files of a stream as an attacker who knows their format does: every record has
// a right checksum again, and the server's index of its files is removed.
type editor struct {
	t       *testing.T
	path    string
	stream  string
	records [][]byte
	next    [][]byte // of the file behind it, which is there if it has any
}

func editJobs(t *testing.T, dir string) *editor {
	t.Helper()
	return editStream(t, dir, "JOBS")
}

func editStream(t *testing.T, dir, stream string) *editor {
	t.Helper()
	e := &editor{t: t, stream: stream, path: filepath.Join(dir, "receiver-data", "jetstream", "RECEIVER", "streams", stream, "msgs", "1.blk")}
	data, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := binary.LittleEndian.Uint32(data) &^ (1 << 31)
		e.records = append(e.records, bytes.Clone(data[:n]))
		data = data[n:]
	}
	return e
}

// replace changes bytes of a record for as many others.
func (e *editor) replace(seq int, from, to string) {
	r := e.records[seq-1]
	if len(from) != len(to) || !bytes.Contains(r, []byte(from)) {
		e.t.Fatalf("record %d has no %q to replace", seq, from)
	}
	e.records[seq-1] = bytes.Replace(r, []byte(from), []byte(to), 1)
}

// number gives the record at a place a sequence.
func (e *editor) number(at int, seq uint64) { binary.LittleEndian.PutUint64(e.records[at][4:], seq) }

// backdate sets the times of all records back.
func (e *editor) backdate(by time.Duration) {
	for _, r := range e.records {
		binary.LittleEndian.PutUint64(r[12:], binary.LittleEndian.Uint64(r[12:])-uint64(by))
	}
}

// status puts a status into the first line of a record's headers, as no client does.
func (e *editor) status(seq int) {
	r := e.records[seq-1]
	size := 22 + int(binary.LittleEndian.Uint16(r[20:]))
	line := size + 4 + len("NATS/1.0")
	r = slices.Concat(r[:line], []byte(" 200"), r[line:])
	for _, at := range []int{0, size} {
		binary.LittleEndian.PutUint32(r[at:], binary.LittleEndian.Uint32(r[at:])+4)
	}
	e.records[seq-1] = r
}

// split leaves the first records in their file, and puts copies of those from a place on
// into one behind it.
func (e *editor) split(first, from int) {
	for _, r := range e.records[from:] {
		e.next = append(e.next, bytes.Clone(r))
	}
	e.records = e.records[:first]
}

// save writes the records with right checksums.
func (e *editor) save() {
	if e.next != nil {
		e.sum(2, e.next)
		path := filepath.Join(filepath.Dir(e.path), "2.blk")
		if err := os.WriteFile(path, bytes.Join(e.next, nil), 0o600); err != nil {
			e.t.Fatal(err)
		}
	}
	e.sum(1, e.records)
	e.write(bytes.Join(e.records, nil))
}

// sum puts the right checksums into the records of a file.
func (e *editor) sum(index int, records [][]byte) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", e.stream, index))
	for _, r := range records {
		end := len(r) - 8
		subject := 22 + int(binary.LittleEndian.Uint16(r[20:]))
		h, err := highwayhash.New64(key[:])
		if err != nil {
			e.t.Fatal(err)
		}
		rest := subject
		if binary.LittleEndian.Uint32(r)>>31 != 0 {
			rest += 4 // how long the headers are
		}
		for _, part := range [][]byte{r[4:20], r[22:subject], r[rest:end]} {
			h.Write(part)
		}
		copy(r[end:], h.Sum(nil))
	}
}

func (e *editor) write(data []byte) {
	if err := os.WriteFile(e.path, data, 0o600); err != nil {
		e.t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(e.path, later, later); err != nil {
		e.t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(e.path), "index.db")); err != nil {
		e.t.Fatal(err)
	}
}

// The rows of issue 4, done to the files on disk; TestTamperingIsFoundAndNamed does them
// through NATS.
func TestTamperingWithTheFilesIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(e *editor)
		want   []string // each begins a fault
	}{
		{"nothing is done", func(e *editor) { e.save() }, nil},
		{"a byte of a body", func(e *editor) { e.replace(3, `"COMPLETED"}`, `"COMPLETEE"}`); e.save() }, []string{"JOBS/3: changed", "JOBS/3: hmac"}},
		{"a byte of a header", func(e *editor) { e.replace(2, "192.0.2.7", "192.0.2.8"); e.save() }, []string{"JOBS/2: changed"}},
		{"a byte of a subject", func(e *editor) { e.replace(2, "jobs.demo.2.", "jobs.demo.7."); e.save() }, []string{"JOBS/2: changed"}},
		{"a time, by a nanosecond", func(e *editor) { e.records[3][12]++; e.save() }, []string{"JOBS/4: changed"}},
		{"deleted", func(e *editor) { e.records = slices.Delete(e.records, 1, 2); e.save() }, []string{"JOBS/2: missing"}},
		{"the first deleted", func(e *editor) { e.records = e.records[1:]; e.save() }, []string{"JOBS/1: missing"}},
		{"cut off", func(e *editor) { e.records = e.records[:3]; e.save() }, []string{"JOBS/4: missing", "JOBS/5: missing"}},
		{"cut off within a record", func(e *editor) {
			whole := bytes.Join(e.records, nil)
			e.write(whole[:len(whole)-40])
		}, []string{"JOBS: unreadable: msgs/1.blk, bytes ", "JOBS/5: missing"}},
		{"two swapped", func(e *editor) {
			e.records[0], e.records[1] = e.records[1], e.records[0]
			e.number(0, 1)
			e.number(1, 2)
			e.save()
		}, []string{"JOBS/1: reordered", "JOBS/2: reordered"}},
		{"two swapped with their sequences", func(e *editor) {
			e.records[0], e.records[1] = e.records[1], e.records[0]
			e.save()
		}, []string{"JOBS/1: "}},
		{"one inserted, and the next moved up", func(e *editor) {
			e.records = slices.Insert(e.records, 2, bytes.Clone(e.records[4]))
			for at := range e.records {
				e.number(at, uint64(at+1))
			}
			e.save()
		}, []string{"JOBS/3: reordered: this record was sealed as sequence 5", "JOBS/4: reordered", "JOBS/6: unsealed"}},
		{"another of the same sequence", func(e *editor) {
			e.records = append(e.records, bytes.Clone(e.records[1]))
			e.replace(6, `"COMPLETED"}`, `"COMPLETEE"}`)
			e.save()
		}, []string{"JOBS/2: extra"}},
		{"parted into two files", func(e *editor) { e.split(3, 3); e.save() }, nil},
		{"another of the same sequence in the file before", func(e *editor) {
			e.split(3, 2)
			e.replace(3, `"COMPLETED"}`, `"COMPLETEE"}`)
			e.save()
		}, []string{"JOBS/3: changed", "JOBS/3: extra"}},
		{"another in the file before, in a form that we leave to the server", func(e *editor) {
			e.split(3, 2)
			e.replace(3, `"COMPLETED"}`, `"COMPLETEE"}`)
			e.status(3)
			e.save()
		}, []string{"JOBS/3: changed", "JOBS/3: hmac"}},
		{"a changed file before one with all that was sealed", func(e *editor) {
			e.split(5, 0)
			e.replace(1, `"COMPLETED"}`, `"COMPLETEE"}`)
			e.save()
		}, []string{"JOBS/1: changed", "JOBS/1: extra"}},
		{"a sequence, by billions", func(e *editor) { e.number(4, 1<<40); e.save() }, []string{"JOBS: unreadable: msgs/1.blk, bytes ", "JOBS/5: missing"}},
		{"emptied", func(e *editor) { e.write(nil) }, []string{"JOBS/1: missing", "JOBS/5: missing"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			row.tamper(editJobs(t, dir))
			code, report := auditVerify(t, dir)
			if want := len(row.want) > 0; (code == exitFailed) != want || report.OK == want {
				t.Errorf("audit verify = exit %d, ok %v with faults %v, want faults: %v", code, report.OK, report.faults(), want)
			}
			for _, want := range row.want {
				if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
					t.Errorf("no fault begins with %q; there are\n%v", want, report.faults())
				}
			}
		})
	}
}

// The times of checkpoints are not sealed. Setting them back makes records look older than they may
// be kept, and can only hide the deletion of all records up to one.
func TestBackdatedCheckpointsHideNoDeletion(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(jobs, checkpoints *editor)
		want   []string // each begins a fault
	}{
		{"a record deleted", func(jobs, checkpoints *editor) {
			jobs.records = slices.Delete(jobs.records, 1, 2)
			checkpoints.backdate(91 * 24 * time.Hour)
		}, []string{"JOBS/2: missing", "JOBS: checkpoint: CHECKPOINTS/4: it is older than sequence 5"}},
		{"the last deleted", func(jobs, checkpoints *editor) {
			jobs.records = jobs.records[:4]
			checkpoints.backdate(91 * 24 * time.Hour)
		}, []string{"JOBS/5: missing"}},
		{"the first deleted, and every checkpoint set back", func(jobs, checkpoints *editor) {
			jobs.records = jobs.records[1:]
			checkpoints.backdate(91 * 24 * time.Hour)
		}, []string{"JOBS: checkpoint: CHECKPOINTS/1: it is older than sequence 3"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
				t.Fatal(err)
			}
			jobs, checkpoints := editJobs(t, dir), editStream(t, dir, "CHECKPOINTS")
			row.tamper(jobs, checkpoints)
			jobs.save()
			checkpoints.save()
			code, report := auditVerify(t, dir)
			if code != exitFailed || report.OK {
				t.Errorf("audit verify = exit %d, ok %v, want faults", code, report.OK)
			}
			for _, want := range row.want {
				if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
					t.Errorf("no fault begins with %q; there are\n%v", want, report.faults())
				}
			}
		})
	}
}

// Every command that would read the files of a store refuses a format that it does not know, in the
// same words, and leaves the files as they are.
func TestNoCommandReadsAnUnknownFormat(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	e := editStream(t, dir, "ATTEMPTS")
	e.write(append([]byte{22, 3}, bytes.Join(e.records, nil)...))
	want, err := os.ReadFile(e.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "streams mend", "streams mend --accept-loss --reason test", "doctor", "audit verify"} {
		var out bytes.Buffer
		args := append([]string{"--config", filepath.Join(dir, "config.yaml")}, strings.Fields(command)...)
		code := run(t.Context(), args, strings.NewReader(""), &out, &out)
		words := storefolder.ErrUnknownFormat.Error() + ": " + e.path + ": its first bytes, 16 03"
		if code != exitFailed || !strings.Contains(out.String(), words) || !strings.Contains(out.String(), "nats-server "+natsserver.EmbeddedVersion) {
			t.Errorf("%s = exit %d, %s, want %q and the version of the server", command, code, &out, words)
		}
		if got, err := os.ReadFile(e.path); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s changed the file (%v)", command, err)
		}
	}
}

// A receiver does not start on a file that its server would lose more over than is damaged,
// says which and what to do, and starts again when that was done.
func TestServeRefusesADamagedStoreUntilItIsMended(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	e := editJobs(t, dir)
	e.number(2, 1<<40)
	e.save()
	command := func(args ...string) (int, string) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		code := run(ctx, append([]string{"--config", filepath.Join(dir, "config.yaml")}, args...), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	if code, text := command("serve"); code != exitFailed || !strings.Contains(text, e.path+", bytes ") || !strings.Contains(text, "receiver streams mend") {
		t.Errorf("serve = exit %d, %s, want it to name the file and what to do", code, text)
	}
	if code, text := command("streams", "mend"); code != exitDone || !strings.Contains(text, "left out: "+e.path) || !strings.Contains(text, "damaged-") {
		t.Errorf("streams mend = exit %d, %s, want the place and where the file is kept", code, text)
	}
	if code, text := command("audit", "list", "--since", "all", "--actions", "-o", "json"); code != exitDone || !strings.Contains(text, `"mend"`) {
		t.Errorf("audit list = exit %d, %s, want the mending among the actions", code, text)
	}
	if code, text := command("audit", "verify"); code != exitFailed || !strings.Contains(text, "JOBS/3: missing") || strings.Contains(text, "JOBS/4") {
		t.Errorf("audit verify after it = exit %d, %s, want that the third record is missing and no other", code, text)
	}
	sealMore(t, dir, []string{"6"})
	if code, text := command("streams", "mend"); code != exitDone || !strings.Contains(text, "nothing is damaged") {
		t.Errorf("streams mend of a whole store = exit %d, %s, want nothing done", code, text)
	}
}
