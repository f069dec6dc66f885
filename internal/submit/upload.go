package submit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
)

// expectAbove is the size from which the platform is asked, before a byte of the
// file is sent, whether it wants it: a wrong secret then costs no upload, and its
// 401 cannot be lost to a reset connection. It is the size from which curl asks.
const expectAbove = 1 << 20

// Upload is one file to be read into an object of the service.
type Upload struct {
	Object   string
	FileName string    // its last element is sent; the platform may go by its extension
	File     io.Reader // read once, from its current position, and not closed
	Size     int64     // of what File has left, in bytes; -1 when unknown

	Metadata        json.RawMessage // a JSON object for the part metaData; may be nil
	CallbackPayload json.RawMessage // any JSON, which the callback brings back; may be nil
	Path            string          // the query parameter path, as in "/sample.csv"; may be empty
	CallbackURL     string          // told when the job has ended; may be empty

	// Progress, unless nil, is called with the number of bytes of the file that were handed to the
	// connection: from another goroutine, never concurrently, never after Upload has returned. It
	// must return soon.
	Progress func(sent int64)
}

// Upload sends a file in constant memory and returns the job the platform made of
// it. It is repeated only while no connection can be made. An error with
// ErrMayExist in its chain leaves open whether there is a job; after any other the
// platform was not reached, or refused. When Upload returns early, because ctx is
// done or the platform answers before the end, one Read of File may still be under
// way.
//
// OC: (a) rows 5, 6 and 9.
func (c *Client) Upload(ctx context.Context, u Upload) (Created, error) {
	k, file, err := c.uploadCall(u)
	if err != nil {
		return Created{}, err
	}
	defer file.stop()
	return c.create(ctx, k)
}

func (c *Client) uploadCall(u Upload) (call, *source, error) {
	object, err := segment("object", u.Object)
	if err != nil {
		return call{}, nil, err
	}
	name := path.Base(strings.ReplaceAll(u.FileName, `\`, "/"))
	if name == "." || name == "/" || u.File == nil {
		return call{}, nil, InputError("upload needs a file and its name")
	}
	metadata, err := mergeMetadata(u.Metadata, u.CallbackPayload)
	if err != nil {
		return call{}, nil, err
	}
	k := call{method: http.MethodPost, path: c.hub + "/bulk/" + object, timeout: c.uploadTimeout}
	if u.Path != "" {
		k.query = url.Values{"path": {u.Path}}
	}
	if err := k.callback(u.CallbackURL); err != nil {
		return call{}, nil, err
	}
	file := &source{r: u.File, size: u.Size, progress: u.Progress}
	k.form(newFileForm(name, file, metadata))
	if u.Size < 0 || u.Size > expectAbove {
		k.header.Set("Expect", "100-continue")
	}
	return k, file, nil
}

// source reads the file of an upload for the connection. It holds the file to the
// size that was announced, counts, and stops at once when told.
type source struct {
	r        io.Reader
	size     int64 // -1: unknown
	read     int64
	progress func(int64)

	mu      sync.Mutex
	stopped bool
}

var errStopped = errors.New("upload has ended")

// Read ends the request before its closing boundary when the file turns out to be
// shorter or longer than announced, so that no half of a row is ever taken for
// the last.
func (s *source) Read(p []byte) (int, error) {
	if s.isStopped() {
		return 0, errStopped
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	switch {
	case err != nil && err != io.EOF:
		err = fmt.Errorf("reading the file: %w", err)
	case s.size >= 0 && s.read > s.size:
		n, err = 0, fmt.Errorf("the file is longer than the announced %d bytes; it changed during the upload", s.size)
	case s.size >= 0 && s.read < s.size && err == io.EOF:
		err = fmt.Errorf("the file ended after %d of the announced %d bytes: %w", s.read, s.size, io.ErrUnexpectedEOF)
	case n > 0:
		s.report()
	}
	return n, err
}

func (s *source) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *source) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != nil && !s.stopped {
		s.progress(s.read)
	}
}

func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}
