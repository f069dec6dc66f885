package natsserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Acknowledged events must be there at the next start. So nothing is acknowledged once the files
// have been moved.
func TestMovedStoreAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	streams := filepath.Join("jetstream", "RECEIVER", "streams")
	move := func(part string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			natstest.Must(t, os.Rename(filepath.Join(folder, part), filepath.Join(t.TempDir(), "moved")))
		}
	}
	remove := func(parts ...string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			natstest.Must(t, os.RemoveAll(filepath.Join(append([]string{folder}, parts...)...)))
		}
	}
	for what, c := range map[string]struct {
		do    func(t *testing.T, folder string)
		linux bool
	}{
		"folder removed":                  {do: remove()},
		"folder moved":                    {do: move("")},
		"parent moved":                    {do: func(t *testing.T, folder string) { move("")(t, filepath.Dir(folder)) }},
		"folder replaced by a copy":       {do: replaceByCopy},
		"link led elsewhere":              {do: relink},
		"folder of the streams removed":   {do: remove("jetstream")},
		"folder of JOBS removed":          {do: remove(streams, "JOBS")},
		"folder of JOBS moved":            {do: move(filepath.Join(streams, "JOBS"))},
		"folder of JOBS replaced":         {do: func(t *testing.T, folder string) { replaceByCopy(t, filepath.Join(folder, streams, "JOBS")) }},
		"folder of WATCH removed":         {do: remove(streams, "WATCH")},
		"folder of ATTEMPTS moved":        {do: move(filepath.Join(streams, "ATTEMPTS"))},
		"blocks of JOBS removed":          {do: remove(streams, "JOBS", "msgs")},
		"newest block of JOBS removed":    {do: remove(streams, "JOBS", "msgs", "1.blk")},
		"newest block of JOBS replaced":   {do: replaceBlock, linux: true},
		"newest block of JOBS moved":      {do: move(filepath.Join(streams, "JOBS", "msgs", "1.blk"))},
		"newest block of ACTIONS removed": {do: remove(streams, "ACTIONS", "msgs", "1.blk")},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if c.linux && runtime.GOOS != "linux" {
				t.Skip("only Linux tells which files are open")
			}
			folder := filepath.Join(t.TempDir(), "parent", "store")
			at := folder
			if what == "link led elsewhere" {
				natstest.Must(t, os.MkdirAll(folder, 0o700))
				at = folder + "-link"
				natstest.Must(t, os.Symlink(folder, at))
			}
			said := &natstest.Logs{}
			e := natstest.Embedded(at)
			e.Log = said.Logger()
			s, err := natsserver.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b, err := publish.Open(t.Context(), s, conn.Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close(context.Background()) })
			natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
			if _, err := b.Act(t.Context(), job.Action{What: job.ActionStart, Time: time.Now()}); err != nil {
				t.Fatal(err)
			}
			natstest.Eventually(t, "two looks at the files", func() bool { return natsserver.Seen(s, conn.JobsStream) && natsserver.Seen(s, conn.ActionsStream) })
			c.do(t, at)
			began := time.Now()
			natstest.Eventually(t, "the loss to be seen", func() bool { return s.Status().State == natsserver.StateLost })
			if took := time.Since(began); took > 10*time.Second { // a second, on a machine that is not busy
				t.Errorf("the loss was seen after %v, want a second", took)
			}
			if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, "2", "COMPLETED")); !errors.Is(err, conn.ErrUnavailable) {
				t.Errorf("Publish = %v, want ErrUnavailable", err)
			}
			if err := b.Record(t.Context(), natstest.Attempt("late")); !errors.Is(err, conn.ErrUnavailable) {
				t.Errorf("Record = %v, want ErrUnavailable", err)
			}
			if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "while") || !strings.Contains(err.Error(), "start it again") {
				t.Errorf("Ready = %v, want what happened and what to do", err)
			}
			natstest.Eventually(t, "the log to say it", func() bool { return strings.Contains(said.String(), "the store takes no writes") })
			if n := strings.Count(said.String(), "the store takes no writes"); n != 1 {
				t.Errorf("the log says it %d times, want once", n)
			}
		})
	}
}

// The server makes the folder of a new consumer with all folders above it, in the place of what was
// moved away. After a stop they are gone, so that the original files can be put back.
func TestMovedFilesCanBePutBack(t *testing.T) {
	t.Parallel()
	for what, part := range map[string]string{
		"the folder of the store":  ".",
		"the folder of a stream":   filepath.Join("jetstream", "RECEIVER", "streams", "JOBS"),
		"the folder of no message": filepath.Join("jetstream", "RECEIVER", "streams", "WATCH"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := moveAway(t, part)
			m.consumer(t)
			m.stop(t)
			if _, err := os.Stat(m.place); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("after the stop there is something in the place of the moved files: %v", err)
			}
			natstest.Must(t, os.Rename(m.away, m.place))
			if n := natstest.Count(t, natstest.Open(t, natstest.Start(t, m.folder)), conn.JobsStream); n != 1 {
				t.Errorf("JOBS has %d events, want the one from before", n)
			}
		})
	}
}

// Files that somebody else put in the place of a moved store stay.
func TestWhatOthersPutInThePlaceOfAStoreStays(t *testing.T) {
	t.Parallel()
	for what, put := range map[string]func(t *testing.T, m moving) (theirs string){
		"an empty folder": func(t *testing.T, m moving) string {
			natstest.Must(t, os.Mkdir(m.place, 0o700))
			return m.place
		},
		"a file beside the consumers": func(t *testing.T, m moving) string {
			m.consumer(t)
			theirs := filepath.Join(m.place, "theirs")
			natstest.Must(t, os.WriteFile(theirs, nil, 0o600))
			return theirs
		},
		"a link to a folder of consumers": func(t *testing.T, m moving) string {
			m.consumer(t)
			natstest.Must(t, os.Rename(m.place, m.place+".other"))
			natstest.Must(t, os.Symlink(m.place+".other", m.place))
			return m.place
		},
		"another store": func(t *testing.T, m moving) string {
			natstest.Must(t, os.CopyFS(m.place, os.DirFS(m.away)))
			return filepath.Join(m.place, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			m := moveAway(t, ".")
			theirs := put(t, m)
			m.stop(t)
			if _, err := os.Lstat(theirs); err != nil {
				t.Errorf("it is gone after the stop: %v", err)
			}
		})
	}
}

// moving is a store, a part of which was moved from its place.
type moving struct {
	s                   *natsserver.Server
	b                   *publish.Store
	folder, place, away string
}

func moveAway(t *testing.T, part string) moving {
	t.Helper()
	m := moving{folder: filepath.Join(t.TempDir(), "store"), away: filepath.Join(t.TempDir(), "away")}
	m.s = natstest.Start(t, m.folder)
	m.b = natstest.Open(t, m.s)
	m.place = filepath.Join(m.folder, part)
	natstest.Store(t, m.b, natstest.Event(job.Finished, "1", "COMPLETED"))
	natstest.Eventually(t, "a look at the files", func() bool {
		return natsserver.Seen(m.s, conn.JobsStream) && (part == "." || natsserver.Known(m.s, filepath.Base(part)))
	})
	natstest.Must(t, os.Rename(m.place, m.away))
	return m
}

// consumer has the server make a consumer, and with it a folder in the place.
func (m moving) consumer(t *testing.T) {
	t.Helper()
	stream := filepath.Base(m.place)
	if m.place == m.folder {
		stream = conn.JobsStream
	}
	_, err := m.b.JetStream().CreateConsumer(t.Context(), stream, jetstream.ConsumerConfig{Durable: "late", AckPolicy: jetstream.AckExplicitPolicy})
	natstest.Must(t, err)
	if _, err := os.Stat(m.place); err != nil {
		t.Fatalf("the server made nothing in the place of the moved files, so nothing is tried: %v", err)
	}
}

// stop stops the server when it knows of the loss.
func (m moving) stop(t *testing.T) {
	t.Helper()
	natstest.Eventually(t, "the loss to be seen", func() bool { return m.s.Status().State == natsserver.StateLost })
	m.s.Stop()
}

// The usual changes of the files are no move.
func TestUnmovedStoreStaysInUse(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	for i := range 3 {
		for k := range 300 {
			e := natstest.Event(job.Finished, fmt.Sprint(i, "-", k), "COMPLETED")
			e.Data = append(e.Data, make([]byte, 50<<10)...)
			natstest.Store(t, b, e)
		}
		natstest.Eventually(t, "a look", func() bool { return natsserver.Seen(s, conn.JobsStream) })
		natstest.Must(t, natstest.Drop(t.Context(), b, conn.JobsStream, uint64(300*i+200)))
		natstest.Must(t, natstest.Drop(t.Context(), b, conn.JobsStream, 0))
	}
	natsserver.CheckStatus(s)
	natsserver.CheckStatus(s)
	if got := s.Status(); got.State != natsserver.StateOK {
		t.Errorf("Room = %+v, want that all is well", got)
	}
	natstest.Store(t, b, natstest.Event(job.Finished, "after", "COMPLETED"))
}

func replaceByCopy(t *testing.T, folder string) {
	away := filepath.Join(t.TempDir(), "away")
	natstest.Must(t, os.Rename(folder, away))
	natstest.Must(t, os.CopyFS(folder, os.DirFS(away)))
}

func relink(t *testing.T, link string) {
	other := t.TempDir()
	natstest.Must(t, os.Symlink(other, link+".new"))
	natstest.Must(t, os.Rename(link+".new", link))
}

func replaceBlock(t *testing.T, folder string) {
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
	data, err := os.ReadFile(path)
	natstest.Must(t, err)
	natstest.Must(t, os.WriteFile(path+".new", data, 0o600))
	natstest.Must(t, os.Rename(path+".new", path))
}
