package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

const perBlock = 40 // of 256 KiB events, more than one block file of 8 MiB holds

// filled returns a folder after a clean stop, and a copy from just before it, as after a kill.
// JOBS has three files in both.
func filled(t *testing.T) (stopped, killed string) {
	t.Helper()
	stopped, killed = t.TempDir(), t.TempDir()
	s, err := natsserver.Start(natstest.Embedded(stopped))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, 0)
	s.Stop()
	if s, err = natsserver.Start(natstest.Embedded(stopped)); err != nil {
		t.Fatal(err)
	}
	natstest.CopyFolder(t, stopped, killed)
	s.Stop()
	if _, err := os.Stat(filepath.Join(stopped, "receiver.running")); err == nil {
		t.Fatal("the stop was not noted")
	}
	return stopped, killed
}

// fill stores so many events and actions that they take two files and begin a third.
func fill(t *testing.T, s *natsserver.Server, from int) {
	t.Helper()
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*perBlock - 10 {
		natstest.Store(t, b, natstest.Sized(job.Finished, fmt.Sprint(from+i), 256<<10))
		if i%10 > 0 {
			continue
		}
		a := job.Attempt{Source: "demo", Verdict: "missing", Receipt: job.Receipt{Received: time.Now()}, Body: []byte("{}"), Size: 2}
		if err := b.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Act(t.Context(), job.Action{What: job.ActionStart, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PutWatch(t.Context(), job.Watch{Source: "demo", Object: "contact", Job: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	lease, err := b.Lease(t.Context(), "held") // in a stream that has no files
	if err == nil {
		_, err = lease.Hold(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := publish.KeepBody(t.Context(), b, "body", make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func at(folder string, parts ...string) string {
	return filepath.Join(append([]string{folder, "jetstream", "RECEIVER", "streams"}, parts...)...)
}

func remove(parts ...string) func(*testing.T, string) {
	return func(t *testing.T, folder string) {
		t.Helper()
		if err := os.RemoveAll(at(folder, parts...)); err != nil {
			t.Fatal(err)
		}
	}
}

func rewrite(change func([]byte) []byte, parts ...string) func(*testing.T, string) {
	return func(t *testing.T, folder string) {
		t.Helper()
		path := at(folder, parts...)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		natstest.WriteLater(t, path, change(data))
	}
}

func emptied([]byte) []byte  { return nil }
func zeroed(b []byte) []byte { return make([]byte, len(b)) }
func halved(b []byte) []byte { return b[:len(b)/2] }
func onlyFirst(b []byte) []byte {
	return b[:recordLength(b)]
}

// The next start names each missing file of a store and its contents. It goes on only if an
// operator accepts the loss, which is recorded.
func TestStartRefusesAStoreThatLostSomething(t *testing.T) {
	t.Parallel()
	stopped, killed := filled(t)
	for _, row := range []struct {
		name    string
		lose    func(t *testing.T, folder string)
		stopped string // in the error after a clean stop
		killed  string // in the error after a kill
	}{
		{"first file", remove("JOBS", "msgs", "1.blk"), "JOBS: msgs/1.blk is missing, with sequences 1 to ", "JOBS: its beginning is missing, with sequences 1 to 31, "},
		{"middle file", remove("JOBS", "msgs", "2.blk"), "JOBS: msgs/2.blk is missing, with sequences ", "JOBS: a part of its middle is missing, with sequences "},
		{"last file", remove("JOBS", "msgs", "3.blk"), "JOBS: msgs/3.blk is missing, with sequences ", "JOBS: it ends at sequence "},
		{"only file", remove("ACTIONS", "msgs", "1.blk"), "ACTIONS: msgs/1.blk is missing, with sequences 1 to 7", "ACTIONS: it ends at sequence 0, but according to the server that ran last it had sequences 1 to 7"},
		{"first file emptied", rewrite(emptied, "JOBS", "msgs", "1.blk"), "JOBS: msgs/1.blk differs from its state at the last clean stop", "JOBS: its beginning is missing"},
		{"last file emptied", rewrite(emptied, "JOBS", "msgs", "3.blk"), "JOBS: msgs/3.blk differs", "JOBS: it ends at"},
		{"middle file zeroed", rewrite(zeroed, "JOBS", "msgs", "2.blk"), "JOBS: msgs/2.blk differs", "JOBS: a part of its middle"},
		{"last file zeroed", rewrite(zeroed, "JOBS", "msgs", "3.blk"), "JOBS: msgs/3.blk differs", "JOBS: it ends at"},
		{"middle file cut in a record", rewrite(halved, "JOBS", "msgs", "2.blk"), "JOBS: msgs/2.blk differs", "JOBS: a part of its middle"},
		{"last file cut in a record", rewrite(halved, "JOBS", "msgs", "3.blk"), "JOBS: msgs/3.blk differs", "JOBS: it ends at"},
		{"an older copy of the last file", rewrite(onlyFirst, "ATTEMPTS", "msgs", "1.blk"), "ATTEMPTS: msgs/1.blk differs", "ATTEMPTS: it ends at sequence 1, "},
		{"all messages", remove("JOBS", "msgs"), "JOBS: msgs/1.blk is missing", "JOBS: it ends at sequence 0"},
		{"the configuration", remove("JOBS", "meta.inf"), "JOBS: the configuration of the stream, meta.inf", "JOBS: the configuration"},
		{"the configuration's checksum", remove("JOBS", "meta.sum"), "JOBS: the configuration", "JOBS: the configuration"},
		{"a wrong checksum of it", rewrite(func(b []byte) []byte { b[0] ^= 1; return b }, "JOBS", "meta.sum"), "JOBS: the configuration", "JOBS: the configuration"},
		{"JOBS", remove("JOBS"), "JOBS: the folder of the stream is missing, with sequences 1 to 70", "JOBS: the folder of the stream is missing"},
		{"ATTEMPTS", remove("ATTEMPTS"), "ATTEMPTS: the folder", "ATTEMPTS: the folder"},
		{"ACTIONS", remove("ACTIONS"), "ACTIONS: the folder", "ACTIONS: the folder"},
		{"WATCH", remove("WATCH"), "WATCH: the folder", "WATCH: the folder"},
		{"a file of WATCH", remove("WATCH", "msgs", "1.blk"), "WATCH: msgs/1.blk is missing", "WATCH: it ends at sequence 0"},
		{"PAYLOADS", remove("OBJ_PAYLOADS"), "OBJ_PAYLOADS: the folder", "OBJ_PAYLOADS: the folder"},
		{"all streams", func(t *testing.T, f string) { remove()(t, f) }, "JOBS: the folder", "JOBS: the folder"},
		{"all of the server's", func(t *testing.T, f string) { remove("..", "..", "..", "jetstream")(t, f) }, "JOBS: the folder", "JOBS: the folder"},
	} {
		for state, from := range map[string]string{"stopped": stopped, "killed": killed} {
			want := map[string]string{"stopped": row.stopped, "killed": row.killed}[state]
			t.Run(row.name+", "+state, func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				natstest.CopyFolder(t, from, folder)
				row.lose(t, folder)
				for range 2 { // the second start refuses as the first does
					s, err := natsserver.Start(natstest.Embedded(folder))
					if err == nil {
						s.Stop()
					}
					if !errors.Is(err, storefolder.ErrLost) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mend --accept-loss") {
						t.Fatalf("Start = %v, want ErrLost, %q, and what to do", err, want)
					}
				}
				accepted(t, folder, strings.HasPrefix(want, "JOBS: the configuration") || !strings.HasPrefix(want, "JOBS: "))
			})
		}
	}
}

// occupied is a server whose port another program has.
func occupied(t *testing.T, folder string) natsserver.Embedded {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	e := natstest.Embedded(folder)
	e.Address = ln.Addr().String()
	return e
}

// accepted has an operator accept the loss, and checks that no sequence is used twice, and that
// the events stay if JOBS is complete.
func accepted(t *testing.T, folder string, whole bool) {
	t.Helper()
	maria := job.Action{What: job.ActionMend, Operator: "maria"}
	done, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, maria)
	if !errors.Is(err, storefolder.ErrLost) && len(done.LeftOut) == 0 { // damaged messages are left out without acceptance
		t.Errorf("Mend without the word = %v, want ErrLost", err)
	}
	if err != nil {
		done, err = storefolder.Mend(natstest.Embedded(folder).Store(), true, maria)
	}
	if err != nil || len(done.Lost) == 0 {
		t.Fatalf("Mend with the word = %v, %v, want what is lost", done, err)
	}
	for range 2 { // a start that fails takes nothing of the word away
		if s, err := natsserver.Start(occupied(t, folder)); err == nil {
			s.Stop()
			t.Fatal("Start = nil at an occupied port, want an error")
		} else if errors.Is(err, storefolder.ErrLost) {
			t.Fatalf("Start at an occupied port = %v, want an error about the port", err)
		}
	}
	for life := range 2 {
		s, err := natsserver.Start(natstest.Embedded(folder))
		if err != nil {
			t.Fatalf("Start %d after the word = %v", life, err)
		}
		b, err := publish.Open(t.Context(), s, conn.Options{})
		if err != nil {
			t.Fatal(err)
		}
		action, ok := s.Accepted()
		if ok != (life == 0) || ok && (action.Operator != "maria" || !bytes.Contains(action.Details, []byte(done.Lost[0][:20]))) {
			t.Errorf("Accepted in life %d = %s, %v", life, action.Details, ok)
		}
		if ok {
			if err := s.Recorded(); err != nil {
				t.Fatal(err)
			}
		}
		for _, stream := range []string{conn.JobsStream, conn.AttemptsStream, conn.ActionsStream} {
			want := map[string]uint64{conn.JobsStream: 70}[stream]
			got := natstest.ExtentOf(t, b, stream)
			if got.Last < max(want, 7) {
				t.Errorf("%s goes on behind %d, want %d at least", stream, got.Last, max(want, 7))
			}
			if whole && stream == conn.JobsStream && got.Messages != 70 {
				t.Errorf("%d events are left, want all 70", got.Messages)
			}
		}
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
		s.Stop()
	}
}

// The next start reports that JOBS was removed through the server, after a clean stop as after a
// kill, and does not create an empty JOBS before an operator accepts the loss.
func TestStartReportsJobsRemovedWhileRunning(t *testing.T) {
	t.Parallel()
	stopped, _ := filled(t)
	for name, again := range map[string]bool{"removed": false, "removed and made anew": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			natstest.CopyFolder(t, stopped, folder)
			s, err := natsserver.Start(natstest.Embedded(folder))
			must(t, err)
			js := natstest.OpenWith(t, s, conn.Options{}).JetStream()
			was, err := js.Stream(t.Context(), conn.JobsStream)
			must(t, err)
			must(t, js.DeleteStream(t.Context(), conn.JobsStream))
			if again {
				_, err = js.CreateStream(t.Context(), was.CachedInfo().Config)
				must(t, err)
			}
			s.Stop()
			for range 2 {
				if s, err = natsserver.Start(natstest.Embedded(folder)); err == nil {
					s.Stop()
				}
				if !errors.Is(err, storefolder.ErrLost) || !strings.Contains(err.Error(), "JOBS: ") {
					t.Fatalf("Start = %v, want ErrLost and JOBS", err)
				}
			}
			accepted(t, folder, false)
		})
	}
}

// Missing files that a server rebuilds, and notes of other versions, are no loss.
func TestStartAcceptsAnIntactStore(t *testing.T) {
	t.Parallel()
	stopped, killed := filled(t)
	for name, live := range map[string]func(t *testing.T, folder string){
		"nothing happened":        func(*testing.T, string) {},
		"index removed":           remove("JOBS", "msgs", "index.db"),
		"index damaged":           rewrite(halved, "JOBS", "msgs", "index.db"),
		"an older version's note": func(t *testing.T, f string) { natstest.WriteLater(t, filepath.Join(f, "receiver.stopped"), nil) },
		"half a note": func(t *testing.T, f string) {
			natstest.WriteLater(t, filepath.Join(f, "receiver.stopped"), []byte(`{"ti`))
		},
		"no note":                  natstest.ForgetStop,
		"zeros behind the end":     rewrite(func(b []byte) []byte { return append(b, make([]byte, 512)...) }, "JOBS", "msgs", "3.blk"),
		"the list of jobs removed": remove("OBJ_LEDGER"),
	} {
		for state, from := range map[string]string{"stopped": stopped, "killed": killed} {
			t.Run(name+", "+state, func(t *testing.T) {
				t.Parallel()
				folder := t.TempDir()
				natstest.CopyFolder(t, from, folder)
				live(t, folder)
				for range 2 {
					s, err := natsserver.Start(natstest.Embedded(folder))
					if err != nil {
						t.Fatalf("Start = %v, want a server", err)
					}
					if got := natstest.ExtentOf(t, natstest.OpenWith(t, s, conn.Options{ReadOnly: true}), conn.JobsStream); got.Messages != 70 {
						t.Errorf("%d events are there, want 70", got.Messages)
					}
					s.Stop()
				}
			})
		}
	}
}

// Checkpoints kept outside the store prove that the store had some, whenever it was killed.
func TestStartReportsMissingEvidence(t *testing.T) {
	t.Parallel()
	for lost, want := range map[string]string{"": "CHECKPOINTS: the folder of the stream is missing", "msgs": "CHECKPOINTS: it has no checkpoint, but some are kept in a file"} {
		e := natstest.Embedded(t.TempDir())
		s, err := natsserver.Start(e)
		if err != nil {
			t.Fatal(err)
		}
		killed := e
		killed.Folder = t.TempDir()
		b := natstest.OpenWith(t, s, conn.Options{})
		natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
		if _, err := b.Checkpoints(t.Context(), "test", conn.JobsStream); err != nil {
			t.Fatal(err)
		}
		if err := storefolder.CopyTree(e.Folder, killed.Folder); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		killed.Sealed.Kept = func() (map[string]storefolder.Known, error) {
			return map[string]storefolder.Known{conn.JobsStream: {Size: 1, Where: "a file"}}, nil
		}
		remove(conn.CheckpointsStream, lost)(t, killed.Folder)
		if s, err := natsserver.Start(killed); !errors.Is(err, storefolder.ErrLost) || !strings.Contains(err.Error(), want) {
			if err == nil {
				s.Stop()
			}
			t.Errorf("Start without it = %v, want %q", err, want)
		}
		if _, err := storefolder.Mend(killed.Store(), true, job.Action{What: job.ActionMend}); err != nil {
			t.Error(err)
		}
		live(t, killed)
	}
}
