package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/minio/highwayhash"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// blocks are the records in the files of a stream, in their order.
type blocks [][][]byte

// spread creates a folder with so many events, and returns their records, each in a file of its
// own.
func spread(t *testing.T, events int) (folder string, files blocks) {
	t.Helper()
	folder = t.TempDir()
	s := natstest.Start(t, folder)
	b := natstest.Open(t, s)
	for i := range events {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	data, err := os.ReadFile(filepath.Join(messages(folder), "1.blk"))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(data) > 0; data = data[recordLength(data):] {
		files = append(files, [][]byte{data[:recordLength(data)]})
	}
	return folder, files
}

func messages(folder string) string {
	return filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs")
}

// join returns copies of the records of some files, the first with another time.
func join(files blocks) (all [][]byte) {
	for _, f := range files {
		for _, r := range f {
			all = append(all, bytes.Clone(r))
		}
	}
	all[0][12]++
	return all
}

// withStatus puts a status into the first line of a record's headers.
func withStatus(r []byte) []byte {
	size := 22 + int(binary.LittleEndian.Uint16(r[20:]))
	line := size + 4 + len("NATS/1.0")
	r = slices.Concat(r[:line], []byte(" 200"), r[line:])
	for _, at := range []int{0, size} {
		binary.LittleEndian.PutUint32(r[at:], binary.LittleEndian.Uint32(r[at:])+4)
	}
	return r
}

// write writes the files with right checksums. The files with the given numbers are compressed.
func (b blocks) write(t *testing.T, folder string, compressed ...int) {
	t.Helper()
	if err := os.Remove(filepath.Join(messages(folder), "index.db")); err != nil {
		t.Fatal(err)
	}
	for i, records := range b {
		key := sha256.Sum256(fmt.Appendf(nil, "JOBS-%d", i+1))
		for at, r := range records {
			records[at] = bytes.Clone(r)
			seal(t, key[:], records[at])
		}
		data := bytes.Join(records, nil)
		if slices.Contains(compressed, i+1) {
			data = packS2(t, data)
		}
		if err := os.WriteFile(filepath.Join(messages(folder), fmt.Sprintf("%d.blk", i+1)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func seal(t *testing.T, key, r []byte) {
	t.Helper()
	h, err := highwayhash.New64(key)
	if err != nil {
		t.Fatal(err)
	}
	subject, end := 22+int(binary.LittleEndian.Uint16(r[20:])), len(r)-8
	for _, part := range [][]byte{r[4:20], r[22:subject], r[subject+4 : end]} {
		h.Write(part)
	}
	copy(r[end:], h.Sum(nil))
}

// If two files hold a message of one sequence, the server uses one of them, and consumers get that
// one. Lines must give it as well, even if the other copy is one that Lines does not read from
// files.
func TestLinesGivesEveryMessageOfTheServer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		events int
		change func(files blocks) (changed blocks, compressed []int)
	}{
		{"one file for each", 5, func(f blocks) (blocks, []int) { return f, nil }},
		{"two of one sequence", 5, func(f blocks) (blocks, []int) { return blocks{join(f[:3]), join(f[2:])}, nil }},
		{"the first of two with a status", 5, func(f blocks) (blocks, []int) {
			first := join(f[:3])
			first[2] = withStatus(first[2])
			return blocks{first, join(f[2:])}, nil
		}},
		{"the first file compressed", 5, func(f blocks) (blocks, []int) { return blocks{join(f[:3]), join(f[1:])}, []int{1} }},
		{"the second file compressed", 5, func(f blocks) (blocks, []int) { return blocks{join(f[:3]), join(f[2:])}, []int{2} }},
		{"a copy of all behind", 5, func(f blocks) (blocks, []int) { return blocks{join(f), slices.Concat(f[:4]...)}, nil }},
		// The server searches more than 32 files from the middle.
		{"one of many again in the middle", 40, func(f blocks) (blocks, []int) { f[19] = join(f[14:20]); return f, nil }},
		{"the same, with a status", 40, func(f blocks) (blocks, []int) {
			f[19] = join(f[14:20])
			f[19][0] = withStatus(f[19][0])
			return f, nil
		}},
		{"the same, behind another with a status", 40, func(f blocks) (blocks, []int) {
			f[19] = join(f[14:20])
			f[16][0] = withStatus(f[16][0])
			return f, nil
		}},
		{"the same, compressed", 40, func(f blocks) (blocks, []int) { f[19] = join(f[14:20]); return f, []int{20} }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			folder, files := spread(t, row.events)
			changed, compressed := row.change(files)
			changed.write(t, folder, compressed...)
			natstest.ForgetStop(t, folder)
			b := natstest.OpenWith(t, natstest.Start(t, folder), conn.Options{ReadOnly: true})
			want, _ := gather(t, b.Range, 1, uint64(row.events))
			got, _ := gather(t, b.Lines, 1, uint64(row.events))
			if len(want) != row.events {
				t.Fatalf("the server gives %d messages, want %d", len(want), row.events)
			}
			for _, m := range want {
				if !slices.Contains(got, m) {
					t.Errorf("Lines does not give %.60s…, as the server does", m)
				}
			}
		})
	}
}
