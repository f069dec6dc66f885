package publish_test

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

	"receiver/internal/job"
	"receiver/internal/publish"
)

// What is acknowledged must be found at the next start. So nothing is from the moment on that
// the files are not where they were.
func TestAStoreThatIsNotWhereItWasAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	streams := filepath.Join("jetstream", "RECEIVER", "streams")
	move := func(part string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			must(t, os.Rename(filepath.Join(folder, part), filepath.Join(t.TempDir(), "moved")))
		}
	}
	remove := func(parts ...string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			must(t, os.RemoveAll(filepath.Join(append([]string{folder}, parts...)...)))
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
				must(t, os.MkdirAll(folder, 0o700))
				at = folder + "-link"
				must(t, os.Symlink(folder, at))
			}
			said := &logs{}
			e := embedded(at)
			e.Log = said.logger()
			s, err := publish.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b, err := s.Open(t.Context(), publish.Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close(context.Background()) })
			store(t, b, event(job.Finished, "1", "COMPLETED"))
			if _, err := b.Act(t.Context(), job.Action{What: job.ActionStart, Time: time.Now()}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "two looks at the files", func() bool { return publish.Seen(s, publish.JobsStream) && publish.Seen(s, publish.ActionsStream) })
			c.do(t, at)
			began := time.Now()
			eventually(t, "the loss to be seen", func() bool { return s.Room().State == publish.StateLost })
			if took := time.Since(began); took > 5*time.Second { // a second, on a machine that is not busy
				t.Errorf("the loss was seen after %v, want a second", took)
			}
			if _, err := b.Publish(t.Context(), event(job.Finished, "2", "COMPLETED")); !errors.Is(err, publish.ErrUnavailable) {
				t.Errorf("Publish = %v, want ErrUnavailable", err)
			}
			if err := b.Record(t.Context(), attempt("late")); !errors.Is(err, publish.ErrUnavailable) {
				t.Errorf("Record = %v, want ErrUnavailable", err)
			}
			if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "while") || !strings.Contains(err.Error(), "start it again") {
				t.Errorf("Ready = %v, want what happened and what to do", err)
			}
			eventually(t, "the log to say it", func() bool { return strings.Contains(said.String(), "nothing can be stored") })
			if n := strings.Count(said.String(), "nothing can be stored"); n != 1 {
				t.Errorf("the log says it %d times, want once", n)
			}
		})
	}
}

// Much that changes the files is as it should be.
func TestAStoreThatIsWhereItWasIsNotGivenUp(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	b := open(t, s)
	for i := range 3 {
		for k := range 300 {
			e := event(job.Finished, fmt.Sprint(i, "-", k), "COMPLETED")
			e.Data = append(e.Data, make([]byte, 50<<10)...)
			store(t, b, e)
		}
		eventually(t, "a look", func() bool { return publish.Seen(s, publish.JobsStream) })
		must(t, publish.Drop(t.Context(), b, publish.JobsStream, uint64(300*i+200)))
		must(t, publish.Drop(t.Context(), b, publish.JobsStream, 0))
	}
	publish.Look(s)
	publish.Look(s)
	if got := s.Room(); got.State != publish.StateOK {
		t.Errorf("Room = %+v, want that all is well", got)
	}
	store(t, b, event(job.Finished, "after", "COMPLETED"))
}

func replaceByCopy(t *testing.T, folder string) {
	away := filepath.Join(t.TempDir(), "away")
	must(t, os.Rename(folder, away))
	must(t, os.CopyFS(folder, os.DirFS(away)))
}

func relink(t *testing.T, link string) {
	other := t.TempDir()
	must(t, os.Symlink(other, link+".new"))
	must(t, os.Rename(link+".new", link))
}

func replaceBlock(t *testing.T, folder string) {
	path := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "msgs", "1.blk")
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path+".new", data, 0o600))
	must(t, os.Rename(path+".new", path))
}
