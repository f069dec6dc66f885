package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// owned opens a stream as the folder's owner does.
func owned(t *testing.T, s *natsserver.Server, folder, name string) jetstream.Stream {
	t.Helper()
	owner := natstest.OwnersKey(t, folder)
	public, err := owner.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.URL(), nats.Nkey(public, owner.Sign))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// spelled returns a message in a comparable form, from either form of its headers.
func spelled(m publish.Message) string {
	header := m.Header
	if m.Lines != nil {
		header = make(map[string][]string)
		for _, l := range m.Lines {
			header[l[0]] = append(header[l[0]], l[1])
		}
	}
	return fmt.Sprint(m.Sequence, m.Subject, m.Time.UnixNano(), header, string(m.Data))
}

type readFunc func(ctx context.Context, stream string, from, to uint64, yield func(publish.Message) error) error

// gather returns the messages of a read, and how many of them came from files.
func gather(t *testing.T, read readFunc, from, to uint64) (all []string, files int) {
	t.Helper()
	err := read(t.Context(), conn.JobsStream, from, to, func(m publish.Message) error {
		all = append(all, spelled(m))
		if m.Lines != nil {
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, files
}

func TestLinesEqualsRange(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := natstest.Start(t, folder)
	b := natstest.Open(t, s)
	for i := range 40 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	big := natstest.Event(job.Finished, "big", "COMPLETED") // larger than the window by which files are read
	big.Data = bytes.Repeat([]byte(" "), 900<<10)
	natstest.Store(t, b, big)
	natstest.Store(t, b, big2(big))
	for i := range 3 { // no headers
		if _, err := b.JetStream().Publish(t.Context(), fmt.Sprintf("jobs.demo.raw%d.finished", i), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	stream := owned(t, s, folder, conn.JobsStream)
	for _, err := range []error{
		stream.Purge(t.Context(), jetstream.WithPurgeSequence(4)),
		stream.DeleteMsg(t.Context(), 7), stream.DeleteMsg(t.Context(), 8), stream.SecureDeleteMsg(t.Context(), 20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	other, err := publish.Attach(t.Context(), folder, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.Background()) }()
	for _, r := range [][2]uint64{{1, 100}, {1, 3}, {4, 4}, {7, 8}, {6, 9}, {20, 20}, {19, 45}, {42, 42}, {44, 45}, {46, 50}, {5, 4}} {
		want, _ := gather(t, b.Range, r[0], r[1])
		for name, bus := range map[string]*publish.Store{"inside": b, "from another process": other} {
			got, files := gather(t, bus.Lines, r[0], r[1])
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s: Lines(%d, %d) = %.2000q, want %.2000q", name, r[0], r[1], got, want)
			}
			if files != len(want) {
				t.Errorf("%s: Lines(%d, %d) read %d of %d messages from files, want all", name, r[0], r[1], files, len(want))
			}
		}
	}
}

// big2 returns another event as large as e, so that the window ends within it.
func big2(e job.Event) job.Event {
	e.Job.ID = "big2"
	return e
}

// Sealing continues to read where it ended, while other processes write.
func TestLinesContinuesDuringWrites(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i := range uint64(30) {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
		if got, files := gather(t, b.Lines, i+1, i+1); len(got) != 1 || files != 1 || !strings.HasPrefix(got[0], fmt.Sprint(i+1, "jobs.demo.")) {
			t.Fatalf("Lines(%d) = %q, %d from files, want that message from a file", i+1, got, files)
		}
	}
}

// If a file is damaged under a running server, Lines gives the records that the server has.
func TestLinesReadsDamagedRecordsFromTheServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := natstest.Open(t, natstest.Start(t, folder))
	for i := range 9 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	want, _ := gather(t, b.Range, 1, 9)
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"a byte":      func(f []byte) []byte { f[len(f)/2] ^= 1; return f },
		"every byte":  func(f []byte) []byte { return make([]byte, len(f)) },
		"cut":         func(f []byte) []byte { return f[:len(f)/2] },
		"cut to none": func(f []byte) []byte { return nil },
		"compressed":  func(f []byte) []byte { return append([]byte("cmp\x01"), f...) },
	} {
		if err := os.WriteFile(path, change(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, files := gather(t, b.Lines, 1, 9); strings.Join(got, "\n") != strings.Join(want, "\n") || files == len(want) {
			t.Errorf("%s: Lines = %q with %d from files, want what the server has, and not all from files", name, got, files)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, files := gather(t, b.Lines, 1, 9); len(got) != len(want) || files != 0 {
		t.Errorf("without a file: Lines gave %d messages, %d from files, want all from the server", len(got), files)
	}
}

// A message that is appended to a file under a used sequence does not hide behind the first one:
// Lines gives both.
func TestLinesGivesBothMessagesOfOneSequence(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	b := natstest.Open(t, natstest.Start(t, folder))
	for i := range 3 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The second and the third again, with their checksums.
	if err := os.WriteFile(path, append(whole, whole[recordLength(whole):]...), 0o600); err != nil {
		t.Fatal(err)
	}
	var order []uint64
	if err := b.Lines(t.Context(), conn.JobsStream, 1, 9, func(m publish.Message) error { order = append(order, m.Sequence); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(order) != "[1 2 3 2 3]" {
		t.Errorf("Lines gave sequences %v, want [1 2 3 2 3]", order)
	}
}

func TestLinesEndsWithItsReaderAndItsContext(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for i := range 3 {
		natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	enough := errors.New("enough")
	if err := b.Lines(t.Context(), conn.JobsStream, 1, 3, func(publish.Message) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Lines = %v, want the reader's error", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if err := b.Lines(ctx, conn.JobsStream, 1, 3, func(publish.Message) error { return nil }); err == nil {
		t.Error("Lines after the end of its context = nil, want an error")
	}
}
