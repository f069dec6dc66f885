package watchfiles_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/watchfiles"
)

// watching is a Watch of the files that a test names, which need not be there.
type watching struct {
	t     *testing.T
	dir   string
	files []string
	fails atomic.Bool    // what Changed says of itself
	asked chan os.Signal // has it called
	calls chan call
}

// call is a call of Changed: what it found in the files, whether it was requested, and whether it
// reported success.
type call struct {
	found       string
	asked, done bool
}

// watchFiles watches some files of a folder, to which more are added by the first call.
func watchFiles(t *testing.T, dir string, names []string, more ...string) *watching {
	t.Helper()
	w := &watching{t: t, dir: dir, asked: make(chan os.Signal), calls: make(chan call, 1000)}
	for _, name := range names {
		w.files = append(w.files, filepath.Join(dir, name))
	}
	begin := slices.Clone(w.files)
	for _, name := range more {
		w.files = append(w.files, filepath.Join(dir, name))
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		watchfiles.Watch(ctx, watchfiles.Watching{
			Files: begin, Asked: w.asked,
			Changed: func(asked bool) ([]string, bool) {
				c := call{w.found(), asked, !w.fails.Load()}
				w.calls <- c
				return w.files, c.done
			},
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-over:
		case <-time.After(time.Minute):
			t.Error("Watch goes on after ctx is done")
		}
	})
	return w
}

// found is the content of all files; of one that is missing it is empty.
func (w *watching) found() string {
	var all []string
	for _, path := range w.files {
		text, _ := os.ReadFile(path) // missing is empty
		all = append(all, string(text))
	}
	return strings.Join(all, " ")
}

// await waits for a call that found that.
func (w *watching) await(what, found string) {
	w.t.Helper()
	w.awaitCall(what, func(c call) bool { return c.found == found })
}

func (w *watching) awaitCall(what string, is func(call) bool) {
	w.t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case c := <-w.calls:
			if is(c) {
				return
			}
		case <-timeout:
			w.t.Fatalf("%s: not noticed", what)
		}
	}
}

func (w *watching) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) mkdir(name string) {
	w.t.Helper()
	if err := os.Mkdir(filepath.Join(w.dir, name), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := watchFiles(t, t.TempDir(), []string{"config.yaml", "a.key"}, "b.key")
	w.await("the start", "  ")
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"the files are written", func() { w.write("config.yaml", "one"); w.write("a.key", "secret") }, "one secret "},
		{"the file is written again", func() { w.write("config.yaml", "two") }, "two secret "},
		{"a secret is replaced", func() { w.write("new", "changed"); w.rename("new", "a.key") }, "two changed "},
		{"a file that was named since appears", func() { w.write("b.key", "x") }, "two changed x"},
		{"a file goes", func() { w.rename("b.key", "c.key") }, "two changed "},
	} {
		step.do()
		w.await(step.name, step.want)
	}
}

// After a failure Changed is called again, without a change, until it is done.
func TestWatchTriesAgain(t *testing.T) {
	t.Parallel()
	w := watchFiles(t, t.TempDir(), []string{"config.yaml"})
	w.fails.Store(true)
	w.write("config.yaml", "one")
	w.await("the change", "one")
	w.fails.Store(false)
	w.awaitCall("the fault is over", func(c call) bool { return c.done })
	w.write("config.yaml", "two")
	w.awaitCall("the next change", func(c call) bool {
		if c.found != "two" {
			t.Errorf("a call found %q, and nothing was left to do", c.found)
		}
		return c.found == "two"
	})
}

// The folder of keys is moved away, is missing for a while, and another one comes in its
// place. All of it is noticed, and so is what happens elsewhere and later.
func TestWatchOutlivesAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := watchFiles(t, dir, []string{"config.yaml", "keys/a.key"})
	w.write("config.yaml", "one")
	w.write("keys/a.key", "old")
	w.await("the start", "one old")
	w.rename("keys", "keys.old")
	w.await("the folder is missing", "one ")
	w.write("config.yaml", "two")
	w.await("the file is written while it is", "two ")
	w.mkdir("keys")
	w.write("keys/a.key", "new")
	w.await("there is another folder", "two new")
	w.write("keys/a.key", "newer")
	w.await("the key in it is written", "two newer")
}

// A folder with the same content takes the place of another one, which nothing shows but
// that changes happen in the new one from then on.
func TestWatchFollowsTheName(t *testing.T) {
	t.Parallel()
	for how, exchange := range map[string]func(*watching){
		"a folder is replaced": func(w *watching) {
			w.rename("keys", "one.old")
			w.rename("two", "keys")
		},
		"a link is turned": func(w *watching) {
			if err := os.Symlink("two", filepath.Join(w.dir, "new")); err != nil {
				w.t.Fatal(err)
			}
			w.rename("new", "keys")
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, folder := range []string{"one", "two"} {
				if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("one", filepath.Join(dir, "keys")); err != nil {
				t.Fatal(err)
			}
			w := watchFiles(t, dir, []string{"keys/a.key"})
			w.write("one/a.key", "same")
			w.await("the start", "same")
			w.write("two/a.key", "same")
			exchange(w)
			w.write("keys/a.key", "other")
			w.await("the key in the new one is written", "other")
		})
	}
}

// Other files of the folder are written without a pause, as logs are.
func TestWatchHearsThroughNoise(t *testing.T) {
	t.Parallel()
	w := watchFiles(t, t.TempDir(), []string{"config.yaml"})
	w.write("config.yaml", "one")
	w.await("the start", "one")
	ctx, quiet := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			_ = os.WriteFile(filepath.Join(w.dir, "log"), []byte(time.Now().String()), 0o600) // one line more or less
		}
	}()
	defer func() { quiet(); <-over }()
	w.write("config.yaml", "two")
	w.await("the file is written", "two")
}

func TestWatchReportsASignal(t *testing.T) {
	t.Parallel()
	w := watchFiles(t, t.TempDir(), []string{"config.yaml"})
	w.asked <- os.Interrupt
	w.awaitCall("somebody asks", func(c call) bool { return c.asked })
}
