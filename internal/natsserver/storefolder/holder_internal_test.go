package storefolder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestHolderIsNamedWithoutItsArguments(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"/usr/bin/receiver serve", "receiver serve"},
		{"receiver submit --object contact --file secret.csv --metadata {}", "receiver submit"},
		{"receiver --config secret jobs cancel --reason secret 42", "receiver jobs cancel"},
		{"receiver --config=/etc/x.yaml streams apply", "receiver streams apply"},
		{"receiver -o json jobs release 42", "receiver jobs release"},
		{"receiver", "receiver"},
		{"receiver 4711 SECRET", "receiver"},
	} {
		if got := commandOf(strings.Fields(tt.args)); got != tt.want {
			t.Errorf("commandOf(%s) = %q, want %q", tt.args, got, tt.want)
		}
	}
}

// Each row is a process that holds the folder for some time, and one that wants it.
func TestAFolderIsWaitedFor(t *testing.T) {
	me := fmt.Sprint(os.Getpid())
	for _, tt := range []struct {
		name, holder string
		held, leave  time.Duration // leave: when the waiting process ends
		most, want   time.Duration // want: how long it took, about
		err          string
	}{
		{name: "free", most: 30 * time.Second},
		{name: "a command", holder: me + " receiver submit\n", held: 20 * time.Second, most: 30 * time.Second, want: 20 * time.Second},
		{name: "a command that goes on", holder: me + " receiver submit\n", held: time.Hour, most: 30 * time.Second, want: 30 * time.Second,
			err: "another receiver runs on this folder: FOLDER; locked by process " + me + ", `receiver submit`"},
		{name: "another serve", holder: me + " receiver serve\n", held: time.Hour, most: 30 * time.Second, want: 2 * time.Second,
			err: "locked by process " + me + ", `receiver serve`"},
		{name: "one that reads", held: 20 * time.Second, most: 30 * time.Second, want: 20 * time.Second},
		{name: "one that reads, and goes on", held: time.Hour, most: 30 * time.Second, want: 30 * time.Second, err: "audit verify"},
		{name: "no longer than a look", holder: me + " receiver submit\n", held: time.Hour, want: 2 * time.Second, err: "receiver submit"},
		{name: "what a killed one left", holder: "0 receiver serve\n", held: 20 * time.Second, most: 30 * time.Second, want: 20 * time.Second},
		{name: "nonsense", holder: "\x00\xff", held: 20 * time.Second, most: 30 * time.Second, want: 20 * time.Second},
		{name: "told to end", holder: me + " receiver submit\n", held: time.Hour, leave: 5 * time.Second, most: 30 * time.Second, want: 5 * time.Second, err: "receiver submit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			if tt.holder != "" {
				if err := os.WriteFile(filepath.Join(folder, holderFile), []byte(tt.holder), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				if tt.held > 0 {
					other, ok, err := lockFolder(folder, false)
					if !ok || err != nil {
						t.Fatal(ok, err)
					}
					given := time.AfterFunc(tt.held, other.release)
					defer func() {
						if given.Stop() {
							other.release()
						}
					}()
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leave > 0 {
					defer time.AfterFunc(tt.leave, cancel).Stop()
				}
				var log bytes.Buffer
				began := time.Now()
				lock, err := waitForLock(ctx, folder, tt.most, zerolog.New(&log))
				if took := time.Since(began); took < tt.want || took > tt.want+time.Second {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				switch {
				case tt.err == "" && err != nil:
					t.Errorf("await = %v", err)
				case tt.err == "":
					lock.release()
				case !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strings.ReplaceAll(tt.err, "FOLDER", folder)):
					t.Errorf("await = %v, want ErrInUse with %q", err, tt.err)
				}
				if lines := strings.Count(log.String(), "waiting for another process to release the folder of the store"); lines != min(1, int(tt.want/time.Second)) {
					t.Errorf("%d lines say that it waits: %s", lines, log.String())
				}
			})
		})
	}
}

func TestAHolderIsNotedWhileItHolds(t *testing.T) {
	folder := t.TempDir()
	c, err := Acquire(t.Context(), folder, 0, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if h := holderOf(folder); h.pid != fmt.Sprint(os.Getpid()) || h.command != filepath.Base(os.Args[0]) {
		t.Errorf("the holder is %v, want this process", h)
	}
	if _, err := Share(folder); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "locked by process ") {
		t.Errorf("share = %v, want ErrInUse with the holder", err)
	}
	c.Release()
	if h := holderOf(folder); h.pid != "" {
		t.Errorf("the holder is %v after the end, want nobody", h)
	}
}
