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
// moved away. After a stop they are gone, so that the original files can be put back; what somebody
// else put there stays.
func TestMovedFilesCanBePutBack(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		part   string // of the folder that is moved
		theirs bool   // somebody else has a file there
	}{
		"the folder of the store":                 {".", false},
		"the folder of a stream":                  {filepath.Join("jetstream", "RECEIVER", "streams", "JOBS"), false},
		"the folder of the store, another's file": {".", true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "store")
			s := natstest.Start(t, folder)
			b := natstest.Open(t, s)
			natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
			natstest.Eventually(t, "a look at the files", func() bool { return natsserver.Seen(s, conn.JobsStream) })
			place := filepath.Join(folder, c.part)
			away := filepath.Join(t.TempDir(), "away")
			natstest.Must(t, os.Rename(place, away))
			_, err := b.JetStream().CreateConsumer(t.Context(), conn.JobsStream, jetstream.ConsumerConfig{Durable: "late", AckPolicy: jetstream.AckExplicitPolicy})
			natstest.Must(t, err)
			if _, err := os.Stat(place); err != nil {
				t.Fatalf("the server made nothing in the place of the moved files, so nothing is tried: %v", err)
			}
			if c.theirs {
				natstest.Must(t, os.WriteFile(filepath.Join(place, "theirs"), nil, 0o600))
			}
			natstest.Eventually(t, "the loss to be seen", func() bool { return s.Status().State == natsserver.StateLost })
			s.Stop()
			_, err = os.Stat(place)
			if (err == nil) != c.theirs {
				t.Fatalf("after the stop there is something in the place: %v, want %v", err == nil, c.theirs)
			}
			if c.theirs {
				return
			}
			natstest.Must(t, os.Rename(away, place))
			if n := natstest.Count(t, natstest.Open(t, natstest.Start(t, folder)), conn.JobsStream); n != 1 {
				t.Errorf("JOBS has %d events, want the one from before", n)
			}
		})
	}
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
