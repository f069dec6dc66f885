//go:build e2e

package main_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
)

// uploadSink is a platform that takes a file and throws it away, as fast as it can.
type uploadSink struct {
	size int64
	hash [sha256.Size]byte
	// hashing is whether to look at the content too, which takes longer than to send it.
	hashing atomic.Bool
	whole   atomic.Int64 // files that came whole
}

// ServeHTTP counts an upload as whole if its length is that of a form with the file and, if
// it hashes, the file in it is the same.
func (s *uploadSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.take(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.whole.Add(1)
	fmt.Fprint(w, `{"id":"1","status":"CREATED"}`)
}

func (s *uploadSink) take(r *http.Request) error {
	if s.hashing.Load() {
		return s.compare(r)
	}
	// The form around the file is a few hundred bytes, and the server ends a body that is
	// shorter than announced in an error.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
	if around := n - s.size; err == nil && (n != r.ContentLength || around <= 0 || around > 1<<10) {
		err = fmt.Errorf("%d bytes came, of %d announced, want a form with a file of %d", n, r.ContentLength, s.size)
	}
	return err
}

// compare reads the form, whose one part must be the file.
func (s *uploadSink) compare(r *http.Request) error {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	form := multipart.NewReader(bufio.NewReaderSize(r.Body, 256<<10), params["boundary"])
	part, err := form.NextPart()
	if err != nil {
		return err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, part); err != nil {
		return err
	}
	if got := [sha256.Size]byte(hash.Sum(nil)); part.FormName() != "file" || got != s.hash {
		return fmt.Errorf("the part %q hashes to %x, want the file with %x", part.FormName(), got, s.hash)
	}
	if _, err := form.NextPart(); err != io.EOF {
		return fmt.Errorf("after the file comes %v, want the end", err)
	}
	return nil
}

// largeFile makes a file that does not compress, and returns its hash. It is on the disk
// when it returns, so that writing it back disturbs no measurement.
func largeFile(t *testing.T, path string, size int64) [sha256.Size]byte {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	content := io.LimitReader(rand.NewChaCha8([32]byte{}), size)
	if _, err := io.Copy(io.MultiWriter(file, hash), content); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
