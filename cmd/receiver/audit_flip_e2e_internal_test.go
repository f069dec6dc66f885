//go:build e2e

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// After `demo --once --keep DIR` nothing is wrong, and after any byte of a stored message
// is changed audit verify says so. One byte of every part is tried in some record of each
// stream, and three of every record.
func TestAnyChangedByteOfWhatTheDemoKeptIsFound(t *testing.T) {
	t.Parallel()
	dir := keptDemo(t)
	before := folderDigest(t, dir)
	if code, report := auditVerify(t, dir); code != exitDone || !report.OK {
		t.Fatalf("audit verify of what the demo kept = exit %d, %+v, want 0", code, report)
	}
	if folderDigest(t, dir) != before {
		t.Fatal("audit verify changed the folder that it verified")
	}
	var all []place
	for _, stream := range []string{"JOBS", "ATTEMPTS", "ACTIONS", "CHECKPOINTS"} {
		all = append(all, places(t, dir, stream)...)
	}
	if len(all) < 35 {
		t.Fatalf("there are %d places to change, want more", len(all))
	}
	todo := make(chan place)
	var wg sync.WaitGroup
	for range 2 {
		work := t.TempDir()
		if err := os.CopyFS(work, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for p := range todo {
				p.check(t, work)
			}
		})
	}
	for _, p := range all {
		todo <- p
	}
	close(todo)
	wg.Wait()
}

// keptDemo runs the demo and returns the folder that it left behind.
func keptDemo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var out, talk bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--once", "--keep", dir}, strings.NewReader(""), &out, &talk); code != exitDone {
		t.Fatalf("the demo ended with %d:\n%s%s", code, &out, &talk)
	}
	return dir
}

// place is one byte of a stored message.
type place struct {
	stream, part string
	file         string // below the kept folder
	at           int
}

// places names one byte of every part of every record of a stream.
func places(t *testing.T, dir, stream string) []place {
	t.Helper()
	file := filepath.Join("receiver-data", "jetstream", "RECEIVER", "streams", stream, "msgs", "1.blk")
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var all []place
	for begin, records := 0, 0; begin < len(data); {
		length := binary.LittleEndian.Uint32(data[begin:])
		subject := int(binary.LittleEndian.Uint16(data[begin+20:]))
		headers := 0
		if length&(1<<31) != 0 {
			length &^= 1 << 31
			headers = 4
		}
		end := begin + int(length)
		for i, part := range []struct {
			name     string
			from, to int
		}{
			{"headers and data", begin + 22 + subject + headers, end - 8},
			{"length", begin, begin + 4}, {"sequence", begin + 4, begin + 12}, {"time", begin + 12, begin + 20},
			{"length of the subject", begin + 20, begin + 22}, {"subject", begin + 22, begin + 22 + subject},
			{"length of the headers", begin + 22 + subject, begin + 22 + subject + headers},
			{"last byte of the data", end - 9, end - 8}, {"checksum", end - 8, end},
		} {
			turn := i == 0 || records == 0 || i%4 == records%4
			if turn && part.from < part.to {
				all = append(all, place{stream, part.name, file, part.from + random.IntN(part.to-part.from)})
			}
		}
		records++
		begin = end
	}
	return all
}

// check changes the byte in a copy of the folder, expects a report, and restores it.
func (p place) check(t *testing.T, dir string) {
	path := filepath.Join(dir, p.file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	bit := byte(1) << (p.at % 8)
	data[p.at] ^= bit
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Error(err)
	}
	code, report := auditVerify(t, dir)
	named := false
	for _, f := range report.faults() {
		named = named || f.Stream == p.stream
	}
	if code != exitFailed || report.OK || !named {
		t.Errorf("%s, %s, byte %d: audit verify = exit %d, faults %v, want 1 and one of %s", p.stream, p.part, p.at, code, report.faults(), p.stream)
	}
	data[p.at] ^= bit
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Error(err)
	}
}

// folderDigest is one digest over names, modes, times and contents of a folder.
func folderDigest(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Mode(), info.ModTime().UnixNano(), info.Size())
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		h.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
