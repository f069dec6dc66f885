//go:build linux

package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"receiver/internal/job"
)

// What is held of a store is given back: at its stop, with a stream that is gone, and with a block
// that is no longer the newest.
func TestNothingIsHeldForLong(t *testing.T) {
	t.Parallel()
	held := func(folder string) (all []string) {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range open {
			if at, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(at, folder) {
				all = append(all, filepath.Base(at))
			}
		}
		return all
	}

	streams := t.TempDir()
	msgs := filepath.Join(streams, "S", "msgs")
	if err := os.MkdirAll(msgs, 0o700); err != nil {
		t.Fatal(err)
	}
	has := map[string]server.StreamDetail{"S": {Name: "S", Config: &server.StreamConfig{Storage: server.FileStorage}, State: server.StreamState{Msgs: 1}}}
	h := home{streams: map[string]*streamFiles{}}
	for i, block := range []string{"1.blk", "2.blk", "10.blk"} {
		if err := os.WriteFile(filepath.Join(msgs, block), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Duration(i) * time.Hour) // the clock of files may not have moved on
		if err := os.Chtimes(msgs, later, later); err != nil {
			t.Fatal(err)
		}
		h.know(streams, has)
		if got := held(streams); len(got) != 1 || got[0] != block {
			t.Errorf("with %s as the newest, held are %q", block, got)
		}
	}
	h.know(streams, nil)
	if got := held(streams); len(got) != 0 {
		t.Errorf("of a stream that is gone, held are %q", got)
	}

	folder := t.TempDir()
	s, err := Start(Embedded{Folder: folder, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Open(t.Context(), Options{})
	if err == nil {
		_, err = b.Publish(t.Context(), job.Event{Kind: job.Lost, Source: "crm", Job: job.View{ID: "1"}, Time: time.Now()})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.turn.Lock()
	s.home.know(filepath.Join(folder, "jetstream", ownerAccount, "streams"), streamsOf(s.ns.Load()))
	s.turn.Unlock()
	if got := held(folder); len(got) == 0 {
		t.Error("of a store in use, nothing is held: this test looks at the wrong files")
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.Stop()
	if got := held(folder); len(got) != 0 {
		t.Errorf("of a store that has stopped, held are %q", got)
	}
}
