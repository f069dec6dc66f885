package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// BenchmarkStreams stores finished events on the condition that their subjects are empty, one by
// one, in one stream, and in two and four side by side of one server. Four connections publish with
// 64 unacknowledged events each, whatever the number of streams.
func BenchmarkStreams(b *testing.B) {
	for _, sync := range []string{"interval", "always"} {
		for _, streams := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("sync=%s/streams=%d", sync, streams), func(b *testing.B) {
				s := sideBySide(b, b.TempDir(), streams, sync == "always")
				b.ResetTimer()
				s.load(b, b.N)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkSubjects stores SCALE_SUBJECTS finished events (default 20,000), each with a subject of
// its own, and reports what each costs: resident memory after the load, with the server's caches,
// and after a restart, without them; disk; and the seconds until a restarted server answers for the
// stream, with the index that a clean stop writes, and without it, as after a kill.
func BenchmarkSubjects(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("SCALE_SUBJECTS"))
	if err != nil {
		n = 20_000
	}
	for _, streams := range []int{1, 4} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			for b.Loop() {
				folder := b.TempDir()
				each := func(of int64, unit string) { b.ReportMetric(float64(of)/float64(n), unit) }
				s := sideBySide(b, folder, streams, false)
				empty := resident(b)
				s.load(b, n)
				each(resident(b)-empty, "B/event-loaded")
				s.Stop()
				each(size(b, folder), "disk-B/event")
				each(size(b, filepath.Join(folder, "jetstream"), "index.db"), "index-B/event")
				empty = resident(b)
				begun := time.Now()
				s = sideBySide(b, folder, streams, false)
				s.holds(b, n)
				b.ReportMetric(time.Since(begun).Seconds(), "s/start")
				each(resident(b)-empty, "B/event-restarted")
				s.Stop()
				removeAll(b, folder, "index.db")
				begun = time.Now()
				s = sideBySide(b, folder, streams, false)
				s.holds(b, n)
				b.ReportMetric(time.Since(begun).Seconds(), "s/start-killed")
				s.Stop()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// streamsOf is a server with streams like JOBS, which divide the sources between them.
type streamsOf struct {
	*server.Server
	js    jetstream.JetStream
	names []string
}

// sideBySide starts a server on a folder, with as many streams, and creates those that are missing.
func sideBySide(b *testing.B, folder string, streams int, always bool) *streamsOf {
	b.Helper()
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: folder, SyncAlways: always, NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 40,
	})
	if err != nil {
		b.Fatal(err)
	}
	ns.Start()
	s := &streamsOf{Server: ns}
	b.Cleanup(s.Stop)
	if !ns.ReadyForConnections(5 * time.Minute) {
		b.Fatal("the server does not start")
	}
	s.js, err = jetstream.New(s.connect(b))
	if err != nil {
		b.Fatal(err)
	}
	for i := range streams {
		c := conn.Streams{}.Configs()[0]
		c.Name, c.Subjects = fmt.Sprintf("JOBS_%d", i), []string{fmt.Sprintf("jobs.source-%d.>", i)}
		if _, err := s.js.CreateStream(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		s.names = append(s.names, c.Name)
	}
	return s
}

// Stop stops the server, once.
func (s *streamsOf) Stop() {
	s.js.Conn().Close()
	s.Shutdown()
	s.WaitForShutdown()
}

func (s *streamsOf) connect(b *testing.B) *nats.Conn {
	b.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		b.Fatal(err)
	}
	return nc
}

// load stores n events of 1.5 KB, about as large as those that the receiver makes.
func (s *streamsOf) load(b *testing.B, n int) {
	const connections, window = 4, 64
	rest := strings.Repeat("x", 1140)
	body := bytes.Repeat([]byte("x"), 246)
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			nc := s.connect(b)
			defer nc.Close()
			free, refused := make(chan struct{}, window), ""
			inbox := nc.NewInbox()
			if _, err := nc.Subscribe(inbox, func(m *nats.Msg) {
				if bytes.Contains(m.Data, []byte(`"error"`)) {
					refused = string(m.Data)
				}
				<-free
			}); err != nil {
				b.Error(err)
				return
			}
			for i := c; i < n; i += connections {
				free <- struct{}{}
				id := 100_000_000_000 + uint64(uint32(i)*2_654_435_761) // each once, in no order
				subject := fmt.Sprintf("jobs.source-%d.%d.finished", c%len(s.names), id)
				header := nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}, "Receiver-Job": {rest}}
				if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: inbox, Header: header, Data: body}); err != nil {
					b.Error(err)
					return
				}
			}
			for range window { // all are acknowledged
				free <- struct{}{}
			}
			if refused != "" {
				b.Errorf("an event was refused: %s", refused)
			}
		})
	}
	all.Wait()
}

// holds fails unless the streams hold n messages.
func (s *streamsOf) holds(b *testing.B, n int) {
	b.Helper()
	var got uint64
	for _, name := range s.names {
		stream, err := s.js.Stream(context.Background(), name)
		if err != nil {
			b.Fatal(err)
		}
		got += stream.CachedInfo().State.Msgs
	}
	if got != uint64(n) {
		b.Fatalf("the streams hold %d events, want %d", got, n)
	}
}

// resident returns how much memory the process has without its garbage.
func resident(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib << 10
}

// size returns how many bytes the files below a folder have; with names only those.
func size(b *testing.B, folder string, names ...string) (n int64) {
	b.Helper()
	walk(b, folder, names, func(_ string, info fs.FileInfo) error { n += info.Size(); return nil })
	return n
}

func removeAll(b *testing.B, folder, name string) {
	b.Helper()
	walk(b, folder, []string{name}, func(path string, _ fs.FileInfo) error { return os.Remove(path) })
}

func walk(b *testing.B, folder string, names []string, each func(string, fs.FileInfo) error) {
	b.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || len(names) > 0 && d.Name() != names[0] {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return each(path, info)
	})
	if err != nil {
		b.Fatal(err)
	}
}
