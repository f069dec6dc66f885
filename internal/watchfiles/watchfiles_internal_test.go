package watchfiles

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// If the system has no more watches, that is logged, and files are checked at intervals all the
// same.
func TestWatchWithoutTheSystem(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	ctx, cancel := context.WithCancel(t.Context())
	calls, blind, over := make(chan string, 100), make(chan error, 100), make(chan struct{})
	none := errors.New("too many open files")
	w := &watch{
		Watching: Watching{
			Files: []string{file}, Blind: func(err error) { blind <- err },
			Changed: func(bool) ([]string, bool) {
				text, _ := os.ReadFile(file) // missing is empty
				calls <- string(text)
				return []string{file}, true
			},
		},
		open: func() (*fsnotify.Watcher, error) { return nil, none },
	}
	go func() { defer close(over); w.run(ctx) }()
	defer func() { cancel(); <-over }()
	if err := <-blind; !errors.Is(err, none) {
		t.Errorf("Blind was told %v, want why", err)
	}
	<-calls
	if err := os.WriteFile(file, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-calls:
		if got != "changed" || len(blind) > 0 {
			t.Errorf("a call found %q, and %d more complaints; want the change, and none", got, len(blind))
		}
	case <-time.After(time.Minute):
		t.Error("the change was not noticed")
	}
}

// A configuration names its files in any order.
func TestDigestOfAnyOrder(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, f := range []string{a, b} {
		if err := os.WriteFile(f, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if digestOf([]string{a, b}) != digestOf([]string{b, a}) {
		t.Error("two orders of the same files have two digests")
	}
}
