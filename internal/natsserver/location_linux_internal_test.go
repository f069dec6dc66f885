//go:build linux

package natsserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Of each stream the newest block is held, and no other; of a stream that is gone, none.
func TestOnlyTheNewestBlockIsHeld(t *testing.T) {
	t.Parallel()
	streams := t.TempDir()
	msgs := filepath.Join(streams, "S", "msgs")
	if err := os.MkdirAll(msgs, 0o700); err != nil {
		t.Fatal(err)
	}
	has := map[string]server.StreamDetail{"S": {Name: "S", Config: &server.StreamConfig{Storage: server.FileStorage}, State: server.StreamState{Msgs: 1}}}
	l := location{streams: map[string]*streamFiles{}}
	var last *os.File
	wantReleased := func(when string) {
		if last == nil {
			return
		}
		if _, err := last.Stat(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s, %s is still held", when, last.Name())
		}
	}
	for i, name := range []string{"1.blk", "2.blk", "10.blk"} {
		block := filepath.Join(msgs, name)
		if err := os.WriteFile(block, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Duration(i) * time.Hour) // the time of a file may be too coarse to change here
		if err := os.Chtimes(msgs, later, later); err != nil {
			t.Fatal(err)
		}
		l.update(streams, has)
		wantReleased("with a newer block")
		if last = l.streams["S"].held; last == nil || last.Name() != block {
			t.Fatalf("with %s as the newest, %v is held", block, last)
		}
	}
	l.update(streams, nil)
	wantReleased("without its stream")
}
