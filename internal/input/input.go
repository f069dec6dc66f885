// Package input reads files and standard input for a command that may be interrupted while they are
// silent: a terminal, a pipe or a named pipe has no end to its silence. It looks at no byte.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reader returns a reader of r whose Read returns the cause of ctx's end, though r is silent. A
// Read of r that was under way then takes what it still gets and drops it. The result has the file
// descriptor of r, if there is one. It is for one goroutine.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	patient := &reader{ctx: ctx, from: r, read: make(chan result, 1)}
	if f, ok := r.(interface{ Fd() uintptr }); ok {
		return described{patient, f.Fd}
	}
	return patient
}

// described is a reader with a file descriptor, for callers that check whether it is a terminal.
type described struct {
	*reader
	fd func() uintptr
}

// Fd returns the file descriptor.
func (d described) Fd() uintptr { return d.fd() }

type reader struct {
	ctx  context.Context //nolint:containedctx // an io.Reader has no other way to be told
	from io.Reader
	read chan result
	buf  []byte // of the Read under way
}

type result struct {
	n   int
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(p) > len(r.buf) {
		r.buf = make([]byte, min(len(p), 256<<10))
	}
	buf := r.buf[:min(len(p), len(r.buf))] // p is the caller's again after Read
	go func() {
		n, err := r.from.Read(buf)
		r.read <- result{n, err}
	}()
	select {
	case got := <-r.read:
		return copy(p, buf[:got.n]), got.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// File is an open file whose Read ends with the context that it was opened with.
type File struct {
	io.Reader
	// Size is -1 where it is not known, as that of a pipe.
	Size int64
	file *os.File
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Open opens a file for reading. It returns the cause of ctx's end if that comes first: a named
// pipe opens when there is a writer.
func Open(ctx context.Context, path string) (*File, error) {
	type answer struct {
		file *os.File
		err  error
	}
	opened := make(chan answer, 1)
	go func() {
		file, err := os.Open(path)
		opened <- answer{file, err}
	}()
	var got answer
	select {
	case got = <-opened:
	case <-ctx.Done():
		go func() {
			if late := <-opened; late.err == nil {
				_ = late.file.Close() // nobody reads it
			}
		}()
		return nil, context.Cause(ctx)
	}
	if got.err != nil {
		return nil, got.err
	}
	info, err := got.file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		return nil, errors.Join(err, got.file.Close())
	}
	f := &File{Reader: got.file, Size: info.Size(), file: got.file}
	if !info.Mode().IsRegular() {
		f.Reader, f.Size = Reader(ctx, got.file), -1
	}
	return f, nil
}

// ReadAll returns the whole content of a file.
func ReadAll(ctx context.Context, path string) ([]byte, error) {
	f, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
