package input_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"receiver/internal/input"
)

var errStopped = errors.New("stopped")

func TestReaderReadsEverything(t *testing.T) {
	want := strings.Repeat("0123456789", 100_000)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(want), "byte by byte": iotest.OneByteReader(strings.NewReader(want[:1000])), "end with data": iotest.DataErrReader(strings.NewReader(want)),
	} {
		got, err := io.ReadAll(input.Reader(t.Context(), r))
		if err != nil || !strings.HasPrefix(want, string(got)) || len(got) < 1000 {
			t.Errorf("%s: ReadAll = %d bytes, %v, want what was written", name, len(got), err)
		}
	}
	if _, err := io.ReadAll(input.Reader(t.Context(), iotest.ErrReader(errStopped))); !errors.Is(err, errStopped) {
		t.Errorf("ReadAll of what fails = %v, want its error", err)
	}
}

func TestReaderEndsWithItsContext(t *testing.T) {
	silent, hold := io.Pipe()
	defer hold.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	asked := make(chan struct{})
	r := input.Reader(ctx, readerFunc(func(p []byte) (int, error) {
		close(asked)
		return silent.Read(p)
	}))
	go func() {
		<-asked
		cancel(errStopped)
	}()
	for range 2 {
		if n, err := r.Read(make([]byte, 8)); n != 0 || !errors.Is(err, errStopped) {
			t.Errorf("Read = %d, %v, want 0 and the cause of the end", n, err)
		}
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A named pipe without a writer does not open, and one with a silent writer gives nothing.
func TestNamedPipesEndWithTheirContext(t *testing.T) {
	path, lonely := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "lonely")
	if err := exec.Command("mkfifo", path, lonely).Run(); err != nil {
		t.Skip("there are no named pipes here:", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	if _, err := input.Open(ctx, lonely); !errors.Is(err, errStopped) {
		t.Errorf("Open without a writer = %v, want the cause of the end", err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0) // returns when there is a reader
		if err == nil {
			defer w.Close()
		}
		cancel(errStopped)
		<-t.Context().Done()
	}()
	if _, err := input.ReadAll(ctx, path); !errors.Is(err, errStopped) {
		t.Errorf("ReadAll of a silent pipe = %v, want the cause of the end", err)
	}
}

func TestReadAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := input.ReadAll(t.Context(), path); string(got) != "rows" || err != nil {
		t.Errorf("ReadAll = %q, %v, want the content", got, err)
	}
	if _, err := input.ReadAll(t.Context(), path+"-none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadAll of no file = %v, want that it does not exist", err)
	}
}
