package publish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestInspectShowsAllAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, left := range []string{"as serve leaves it", "without a lock file"} {
		t.Run(left, func(t *testing.T) {
			folder := t.TempDir()
			s, err := natsserver.Start(natstest.Embedded(folder))
			if err != nil {
				t.Fatal(err)
			}
			b, err := publish.Open(t.Context(), s, conn.Options{})
			if err != nil {
				t.Fatal(err)
			}
			const events = 50
			for i := range events {
				natstest.Store(t, b, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
			}
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.Stop()
			if left == "without a lock file" {
				if err := os.Remove(filepath.Join(folder, "receiver.lock")); err != nil {
					t.Fatal(err)
				}
			}
			before := natstest.Digests(t, folder)
			copied, err := natsserver.Inspect(folder, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			c, err := publish.Open(t.Context(), copied, conn.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := natstest.Count(t, c, conn.JobsStream); got != events {
				t.Errorf("the copy shows %d events, want %d", got, events)
			}
			natstest.Store(t, c, natstest.Event(job.Finished, "in the copy only", "COMPLETED"))
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			copied.Stop()
			if after := natstest.Digests(t, folder); !maps.Equal(before, after) {
				t.Errorf("the folder has changed from\n%v to\n%v", before, after)
			}
		})
	}
}

func TestInspectOfAnEmptyFolder(t *testing.T) {
	t.Parallel()
	if _, err := natsserver.Inspect(t.TempDir(), zerolog.Nop()); !errors.Is(err, natsserver.ErrNoStore) {
		t.Errorf("Inspect = %v, want ErrNoStore", err)
	}
}

func TestAttachNeedsARunningServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, when := range []string{"never", "not any more"} {
		if _, err := publish.Attach(t.Context(), folder, conn.Options{}); !errors.Is(err, storefolder.ErrNotRunning) {
			t.Errorf("Attach to what runs %s = %v, want ErrNotRunning", when, err)
		}
		s, err := natsserver.Start(natstest.Embedded(folder))
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
	}
}

// The address file of a killed server must not lead a command to the program that has its port now:
// the command would take that program for the receiver's server.
func TestAttachNeverFollowsAnOldAddress(t *testing.T) {
	folder := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var misled atomic.Int64
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			misled.Add(1)
			_ = c.Close()
		}
	}()
	for range 5 {
		if err := os.WriteFile(filepath.Join(folder, "receiver.address"), []byte("nats://"+ln.Addr().String()), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				if b, err := publish.Attach(ctx, folder, conn.Options{}); err == nil {
					_ = b.Close(context.Background())
				}
			}
		})
		s, err := natsserver.Start(natstest.Embedded(folder))
		cancel()
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
	}
	if n := misled.Load(); n != 0 {
		t.Errorf("Attach connected %d times to the address of a server that has gone", n)
	}
}

func TestBusyPortIsReportedAtOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	e := natstest.Embedded(t.TempDir())
	e.Address = ln.Addr().String()
	began := time.Now()
	s, err := natsserver.Start(e)
	if err == nil {
		s.Stop()
		t.Fatal("Start = nil on a port in use")
	}
	if !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Start = %v, want it to say that the address is in use", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Start took %v to say so", took)
	}
	e.Address = "127.0.0.1:0"
	if s, err = natsserver.Start(e); err != nil {
		t.Fatalf("Start on the same folder afterwards = %v", err)
	}
	s.Stop()
}

// This is the durability contract, as far as a process can test it: an acknowledged event is in the
// files, however the process ends that wrote them.
func TestAcknowledgedEventsAreInTheFiles(t *testing.T) {
	t.Parallel()
	for _, always := range []bool{true, false} {
		t.Run(fmt.Sprintf("sync always %v", always), func(t *testing.T) {
			folder, left := t.TempDir(), filepath.Join(t.TempDir(), "left")
			e := natstest.Embedded(folder)
			e.SyncAlways = always
			s, err := natsserver.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b := natstest.Open(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			acknowledged := map[string]uint64{}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						id := fmt.Sprintf("%d-%d", w, i)
						got, err := b.Publish(context.WithoutCancel(ctx), natstest.Event(job.Finished, id, "COMPLETED"))
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						acknowledged[id] = got.Sequence
						mu.Unlock()
					}
				})
			}
			natstest.Eventually(t, "some events", func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) > 200 })
			mu.Lock()
			want := maps.Clone(acknowledged)
			mu.Unlock()
			natstest.CopyLive(t, folder, left) // while the callers go on
			cancel()
			wg.Wait()

			b = natstest.Open(t, natstest.Start(t, left))
			got := map[string]uint64{}
			for m, err := range b.Messages(t.Context(), publish.Watch{}) {
				if err != nil {
					t.Fatal(err)
				}
				e, err := job.ParseEvent(m.Subject, m.Header, m.Data)
				if err != nil {
					t.Fatal(err)
				}
				if _, twice := got[e.Job.ID]; twice {
					t.Errorf("job %s is there twice", e.Job.ID)
				}
				got[e.Job.ID] = m.Sequence
			}
			for id, seq := range want {
				if got[id] != seq {
					t.Errorf("job %s, acknowledged as %d, is %d in what the process left", id, seq, got[id])
				}
			}
		})
	}
}
