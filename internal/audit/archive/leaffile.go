package archive

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"receiver/internal/audit"
)

// leafFileSpan is how many sequences one file of leaves stands for.
const leafFileSpan = 65536

// maxPlaces bounds the places that a DamageError lists.
const maxPlaces = 100

// maxLeaf bounds one record: four times the largest message that NATS takes.
const maxLeaf = 256 << 20

// leafFileName names the file of leaves that starts at a sequence.
func leafFileName(start uint64) string { return fmt.Sprintf("%020d", start) }

// leafFileStart returns the first sequence of the file that holds seq.
func (i folderInfo) leafFileStart(seq uint64) uint64 {
	return seq - (seq-i.First)%leafFileSpan
}

// Last implements Source: the highest sequence in the last file.
func (f *Folder) Last(ctx context.Context) (uint64, error) {
	last := f.info.To
	files, err := f.leafFiles()
	if err != nil || len(files) == 0 {
		return last, err
	}
	_, err = f.readLeafFile(ctx, files[len(files)-1], func(r audit.Record) error {
		last = max(last, r.Seq)
		return nil
	})
	return last, err
}

// Records implements Source. It reads the files in order and each from its start; what is
// damaged it skips, and returns as *DamageError in the end.
func (f *Folder) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	return f.Lines(ctx, from, to, func(r audit.Record) error {
		return yield(r.WithHeader())
	})
}

// Lines implements Liner.
func (f *Folder) Lines(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	files, err := f.leafFiles()
	if err != nil {
		return err
	}
	damage := &audit.DamageError{}
	for i, start := range files {
		if start > to || i+1 < len(files) && files[i+1] <= from {
			continue
		}
		places, err := f.readLeafFile(ctx, start, func(r audit.Record) error {
			if r.Seq < from || r.Seq > to {
				return nil
			}
			return yield(r)
		})
		if err != nil {
			return err
		}
		damage.Places = append(damage.Places, places...)
	}
	if len(damage.Places) > 0 {
		return damage
	}
	return nil
}

// leafFiles returns the first sequences of the files there are, ascending.
func (f *Folder) leafFiles() ([]uint64, error) {
	entries, err := os.ReadDir(filepath.Join(f.path, folderRecords))
	if err != nil {
		return nil, fmt.Errorf("reading export folder: %w", err)
	}
	var files []uint64
	for _, e := range entries {
		if start, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && leafFileName(start) == e.Name() {
			files = append(files, start)
		}
	}
	slices.Sort(files)
	return files, nil
}

// readLeafFile yields the records of a file and returns the places that are damaged.
func (f *Folder) readLeafFile(ctx context.Context, start uint64, yield func(audit.Record) error) ([]string, error) {
	name := filepath.Join(folderRecords, leafFileName(start))
	file, err := openRegular(filepath.Join(f.path, name))
	if err != nil {
		return nil, fmt.Errorf("reading export folder: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading export folder: %w", err)
	}
	leaves := leafReader{r: bufio.NewReaderSize(file, 1<<16), left: info.Size()}
	var places []string
	for ctx.Err() == nil {
		at := info.Size() - leaves.left
		leaf, err := leaves.next()
		if errors.Is(err, io.EOF) {
			return places, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return append(places, fmt.Sprintf("%s: byte %d: truncated or overwritten; the rest of the file is lost", name, at)), nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading export folder: %w", err)
		}
		r, absent, err := audit.ParseLeafLines(leaf)
		if err != nil || absent {
			if len(places) < maxPlaces {
				places = append(places, fmt.Sprintf("%s: byte %d: not a record", name, at))
			}
			continue
		}
		if err := yield(r); err != nil {
			return nil, err
		}
	}
	return nil, ctx.Err()
}

// leafReader reads leaves, each behind its length in four bytes, big-endian.
type leafReader struct {
	r    io.Reader
	left int64
	buf  []byte
}

// next returns the next leaf, valid until the next call; io.EOF at the end of the file, and
// io.ErrUnexpectedEOF if it ends within a leaf or the length cannot be.
func (l *leafReader) next() ([]byte, error) {
	if l.left == 0 {
		return nil, io.EOF
	}
	var head [4]byte
	if _, err := io.ReadFull(l.r, head[:]); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if l.left -= 4 + n; l.left < 0 || n > maxLeaf {
		return nil, io.ErrUnexpectedEOF
	}
	if int64(cap(l.buf)) < n {
		l.buf = make([]byte, n)
	}
	l.buf = l.buf[:n]
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return l.buf, nil
}

// leafWriter writes files of leaves into a folder.
type leafWriter struct {
	dir  string
	info folderInfo
	next uint64 // the first sequence of the next file
	file *os.File
	buf  *bufio.Writer
	leaf []byte
}

// write appends a record to the file its sequence belongs to. Sequences must ascend.
func (w *leafWriter) write(r audit.Record) error {
	if w.file == nil || r.Seq >= w.next {
		if err := w.open(w.info.leafFileStart(r.Seq)); err != nil {
			return err
		}
	}
	leaf, err := r.AppendLeaf(append(w.leaf[:0], 0, 0, 0, 0))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint32(leaf, uint32(len(leaf)-4))
	w.leaf = leaf
	_, err = w.buf.Write(leaf)
	return err
}

func (w *leafWriter) open(start uint64) error {
	if err := w.close(); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(w.dir, leafFileName(start)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.file, w.buf, w.next = file, bufio.NewWriterSize(file, 1<<16), start+leafFileSpan
	return nil
}

// close finishes the file that is open, if any.
func (w *leafWriter) close() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return errors.Join(w.buf.Flush(), file.Sync(), file.Close())
}
