package blockfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// UnknownFormatError is returned for a file that this package cannot tell from one of another
// format: what it cannot read there may be sound for another version or other settings of
// nats-server, so nothing of it counts as damaged.
type UnknownFormatError struct {
	// File is the file, and Found is what it holds instead of messages.
	File, Found string
}

func (e *UnknownFormatError) Error() string { return e.File + ": " + e.Found }

const (
	compressed = "cmp" // start of a compressed file; the next byte says how
	sectorSize = 512
)

// Records of nats-server were stored between these times.
var earliest, latest = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// CheckFormat returns an UnknownFormatError for a file of an unknown format. It reads the first
// record only, if that is sound.
func (f Folder) CheckFormat(index uint32) error {
	file, err := os.Open(f.File(index))
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := f.block(index, nil)
	if err != nil {
		return err
	}
	for size := 4 << 10; size > len(b.data); size, _ = b.claim(0) {
		b.data = make([]byte, size)
		n, err := file.ReadAt(b.data, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if b.data = b.data[:n]; b.record(0) > 0 {
			return nil
		}
		if n < size {
			break
		}
	}
	if b.data, err = os.ReadFile(f.File(index)); err != nil {
		return err
	}
	return f.known(index, b.data)
}

// known returns an UnknownFormatError if the content of a file is of an unknown format. Damage is
// no unknown format: if any record is sound, or the file is what a crash leaves of its first.
func (f Folder) known(index uint32, data []byte) error {
	b, err := f.block(index, data)
	if err != nil || len(data) == 0 || b.record(0) > 0 {
		return err
	}
	unknown := func(format string, args ...any) error {
		return &UnknownFormatError{f.File(index), fmt.Sprintf(format, args...)}
	}
	if _, err := os.Stat(filepath.Join(f.Path, fmt.Sprintf("%d.key", index))); !errors.Is(err, fs.ErrNotExist) {
		return unknown("an encrypted block, whose key is in %d.key", index)
	}
	if packed := b.packed(); packed || len(data) > len(compressed) && bytes.HasPrefix(data, []byte(compressed)) && !b.begun() {
		return f.unpacks(index, data, packed, unknown)
	}
	switch head := data[:min(len(data), blockHead)]; {
	case len(data) < blockHead || bytes.Count(head, []byte{0}) == len(head):
		return nil
	case !b.begun():
		return unknown("its first bytes, % x, do not begin a message", head[:8])
	}
	if sound, _ := b.sound(); len(sound) > 0 || torn(data) {
		return nil
	}
	return unknown("not one message has the checksum of a format that is known")
}

// packed reports whether the file is compressed in the way that nats-server 2.15 knows.
func (b *block) packed() bool { return bytes.HasPrefix(b.data, []byte(compressedHead)) }

// unpacks returns an UnknownFormatError for a compressed file that does not hold sound records
// only: such a file can be read as a whole only.
func (f Folder) unpacks(index uint32, data []byte, packed bool, unknown func(string, ...any) error) error {
	if !packed || f.Unpack == nil {
		return unknown("a block compressed by method %d, which is not known", data[len(compressed)])
	}
	whole, err := f.Unpack(data)
	if err != nil {
		return unknown("a block compressed by S2, which cannot be decompressed: %v", err)
	}
	b, err := f.block(index, whole)
	if err != nil {
		return err
	}
	if _, places := b.sound(); len(places) > 0 {
		return unknown("a block compressed by S2, and in it %s", places[0])
	}
	return nil
}

// begun reports whether the file begins with the head of a record, of which one field may be
// damaged: the rest of the head shows that, or that a sound record follows where it ends.
func (b *block) begun() bool {
	if len(b.data) < blockHead {
		return false
	}
	n := int(binary.LittleEndian.Uint32(b.data) &^ withHeaders)
	at := int64(binary.LittleEndian.Uint64(b.data[12:]))
	subject := int(binary.LittleEndian.Uint16(b.data[20:]))
	length := n >= blockHead+blockChecksum && n <= largestRecord
	sequence := binary.LittleEndian.Uint64(b.data[4:])&^sequenceFlags < 1<<48
	stored := at == 0 || at > earliest && at < latest
	named := !bytes.ContainsFunc(b.data[blockHead:min(blockHead+subject, len(b.data))], func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case named && sequence && stored:
		return true
	case !length || !sequence && !stored:
		return false
	}
	return named || sequence && stored && (n == len(b.data) || b.isSound(n))
}

// torn reports whether the first record is what a crash leaves: longer than its file, or with a
// part that was never written.
func torn(data []byte) bool {
	r, whole := parseRecord(data)
	if !whole {
		return true
	}
	if bytes.Count(r.sum, []byte{0}) == len(r.sum) {
		return true
	}
	for at := 0; at+sectorSize <= r.length; at += sectorSize {
		if bytes.Count(data[at:at+sectorSize], []byte{0}) == sectorSize {
			return true
		}
	}
	return false
}
