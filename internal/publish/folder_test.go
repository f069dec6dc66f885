package publish_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
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
	"receiver/internal/publish"
)

func TestInspectShowsAllAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, left := range []string{"as serve leaves it", "without a lock file"} {
		t.Run(left, func(t *testing.T) {
			folder := t.TempDir()
			s, err := publish.Start(embedded(folder))
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.Open(t.Context(), publish.Options{})
			if err != nil {
				t.Fatal(err)
			}
			const events = 50
			for i := range events {
				store(t, b, event(job.Finished, fmt.Sprint(i), "COMPLETED"))
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
			before := tree(t, folder)
			copied, err := publish.Inspect(folder, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			c, err := copied.Open(t.Context(), publish.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := count(t, c, publish.JobsStream); got != events {
				t.Errorf("the copy shows %d events, want %d", got, events)
			}
			store(t, c, event(job.Finished, "in the copy only", "COMPLETED"))
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			copied.Stop()
			if after := tree(t, folder); !maps.Equal(before, after) {
				t.Errorf("the folder has changed from\n%v to\n%v", before, after)
			}
		})
	}
}

func TestInspectOfNothing(t *testing.T) {
	if _, err := publish.Inspect(t.TempDir(), zerolog.Nop()); !errors.Is(err, publish.ErrNoStore) {
		t.Errorf("Inspect = %v, want ErrNoStore", err)
	}
}

func TestAttachNeedsARunningServer(t *testing.T) {
	folder := t.TempDir()
	for _, when := range []string{"never", "not any more"} {
		if _, err := publish.Attach(t.Context(), folder, publish.Options{}); !errors.Is(err, publish.ErrNotRunning) {
			t.Errorf("Attach to what runs %s = %v, want ErrNotRunning", when, err)
		}
		s, err := publish.Start(embedded(folder))
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
	}
}

// What a killed server left behind leads nobody to whoever has its port now, who
// would be told that he speaks to the owner.
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
				if b, err := publish.Attach(ctx, folder, publish.Options{}); err == nil {
					_ = b.Close(context.Background())
				}
			}
		})
		s, err := publish.Start(embedded(folder))
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

func TestABusyPortIsSaidAtOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	e := embedded(t.TempDir())
	e.Address = ln.Addr().String()
	began := time.Now()
	s, err := publish.Start(e)
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
	if s, err = publish.Start(e); err != nil {
		t.Fatalf("Start on the same folder afterwards = %v", err)
	}
	s.Stop()
}

// The durability contract, as far as a process can test it: what was acknowledged is in
// the files, whatever becomes of the process that wrote them.
func TestWhatIsAcknowledgedIsInTheFiles(t *testing.T) {
	t.Parallel()
	for _, always := range []bool{true, false} {
		t.Run(fmt.Sprintf("sync always %v", always), func(t *testing.T) {
			folder, left := t.TempDir(), filepath.Join(t.TempDir(), "left")
			e := embedded(folder)
			e.SyncAlways = always
			s, err := publish.Start(e)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			b := open(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			acknowledged := map[string]uint64{}
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						id := fmt.Sprintf("%d-%d", w, i)
						got, err := b.Publish(context.WithoutCancel(ctx), event(job.Finished, id, "COMPLETED"))
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
			eventually(t, "some events", func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) > 200 })
			mu.Lock()
			want := maps.Clone(acknowledged)
			mu.Unlock()
			copyLive(t, folder, left) // while they go on
			cancel()
			wg.Wait()

			b = open(t, start(t, left))
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

// tree returns the digest of every file below a folder.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		sums[path] = d.Type().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sums[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// copyLive copies a folder that is being written to, as it is when each file is read.
func copyLive(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !d.Type().IsRegular() {
			return nil // a link into memory, where nothing stays when the power goes
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
