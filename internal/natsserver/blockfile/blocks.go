// Package blockfile reads the files in which JetStream keeps the messages of a stream, finds what
// is damaged in them, and leaves it out. It follows the format of nats-server 2.15 and needs no
// server.
//
// It knows no stream by name: the caller passes the folder, and the largest jump between sequences
// in a file. It must not change a file that a server has open; the caller makes sure that none
// runs.
package blockfile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/highwayhash"

	"receiver/internal/durable"
)

// A message in a block file of JetStream, after nats-server 2.15, filestore.go,
// writeMsgRecordLocked: length with a flag for headers (4 bytes), sequence with two flags (8), time
// (8), length of the subject (2), the subject, the length of the headers if there are any (4),
// headers, data, checksum (8). Integers are little-endian. The checksum covers all but the lengths;
// the end of the headers also shows in the headers.
const (
	blockHead     = 4 + 8 + 8 + 2
	blockChecksum = 8
	withHeaders   = 1 << 31
	sequenceFlags = 1<<63 | 1<<62 // erased, and a note that another one was removed
	largestRecord = 32 << 20
	usualJump     = 1 << 24 // of sequences within a file

	mostLookedOver = 1 << 27 // bytes of a file, for the ends of records: a few seconds' work

	compressedHead = "cmp\x01" // start of a compressed file; the program's streams have none
)

// Folder is where a server keeps the messages of one stream: in block files, 1.blk and so on, to
// which it only appends, or which it replaces as a whole.
type Folder struct {
	Path, Stream string
	// LargestJump is the largest distance between sequences within a file; 0 means 1<<24.
	LargestJump uint64
	// Unpack returns the content of a file that is compressed by S2, as the server stores it.
	Unpack func(file []byte) ([]byte, error)
}

func (f Folder) largestJump() uint64 { return cmp.Or(f.LargestJump, usualJump) }

// IndexFile is the server's index of a folder, which it rebuilds if it is missing.
const IndexFile = "index.db"

// Repair removes the damaged parts from all files, and returns them, one line each.
func (f Folder) Repair() (damage []string, err error) {
	files, err := f.Indexes()
	if err != nil {
		return nil, err
	}
	found, errs := make([][]string, len(files)), make([]error, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // as many files are read at once, 8 MiB each
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				found[i], errs[i] = f.repairFile(files[i])
			}
		})
	}
	workers.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

func (f Folder) repairFile(index uint32) (damage []string, err error) {
	sound, places, err := f.Sound(index)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	for _, p := range places {
		damage = append(damage, fmt.Sprintf("%s: msgs/%d.blk, %s", f.Stream, index, p))
	}
	return damage, f.Replace(index, sound)
}

// Replace replaces the content of a file, of a server that does not run. When it returns, the new
// content is on disk; after a crash the file holds either the old content or the new.
func (f Folder) Replace(index uint32, data []byte) error {
	// The server's index no longer matches the files; the server rebuilds it.
	if err := f.DropIndex(); err != nil {
		return err
	}
	return durable.WriteFile(f.File(index), data)
}

// DropIndex removes the server's index, if it exists.
func (f Folder) DropIndex() error {
	if err := os.Remove(filepath.Join(f.Path, IndexFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sound returns the sound content of a file, and its damaged parts. Its error is an
// UnknownFormatError for a file of another format.
func (f Folder) Sound(index uint32) (sound []byte, places []Damage, err error) {
	data, err := os.ReadFile(f.File(index))
	if err != nil {
		return nil, nil, err
	}
	if err := f.known(index, data); err != nil {
		return nil, nil, err
	}
	b, err := f.block(index, data)
	if err != nil {
		return nil, nil, err
	}
	sound, places = b.sound()
	return sound, places, nil
}

// Damage is a part of a block file without a sound record.
type Damage struct {
	from, to int
	after    uint64 // the sequence before it, 0 if there is none
	last     bool   // nothing sound follows
	far      bool   // it holds a record with an impossible sequence
}

func (d Damage) String() string {
	after := ""
	if d.after > 0 {
		after = fmt.Sprintf(", after sequence %d", d.after)
	}
	return fmt.Sprintf("bytes %d to %d%s: no message with a correct checksum", d.from, d.to-1, after)
}

// Harmful reports whether a server must not read it: it would drop the sound messages behind it, or
// count through a changed sequence until its memory is full.
func (d Damage) Harmful() bool { return !d.last || d.far }

// Indexes returns the numbers of the files, ascending.
func (f Folder) Indexes() ([]uint32, error) {
	entries, err := os.ReadDir(f.Path)
	if err != nil {
		return nil, err
	}
	var all []uint32
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), ".blk")
		if n, err := strconv.ParseUint(number, 10, 32); ok && err == nil {
			all = append(all, uint32(n))
		}
	}
	slices.Sort(all)
	return all, nil
}

// block is a block file.
type block struct {
	data  []byte
	hash  hash.Hash64
	sum   [blockChecksum]byte
	lines [][2]string // of the last message
	last  uint64      // the highest sequence so far
	jump  uint64      // how far a sequence may be from it

	looked int // how many bytes were searched for the end of a record with a wrong length
}

// block returns a block file, with this data of it.
func (f Folder) block(index uint32, data []byte) (*block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", f.Stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, err
	}
	return &block{data: data, hash: h, jump: f.largestJump()}, nil
}

// sound returns the file without its damaged parts, and those parts. A file without damage, as
// nearly all are, is not copied.
func (b *block) sound() (sound []byte, places []Damage) {
	at := 0
	if b.packed() && b.record(0) == 0 {
		return b.data, nil // known has checked it as a whole
	}
	for at < len(b.data) {
		if n := b.record(at); n > 0 {
			if places != nil {
				sound = append(sound, b.data[at:at+n]...)
			}
			at += n
			continue
		}
		if places == nil {
			sound = append(sound, b.data[:at]...)
		}
		next := b.skip(at)
		r, whole := parseRecord(b.data[at:])
		place := Damage{
			from: at, to: next, after: b.last, last: next == len(b.data),
			far: whole && b.last > 0 && r.seq&^sequenceFlags > b.last+b.jump,
		}
		if n := len(places); n > 0 && places[n-1].to == at { // one behind the other
			place.from, place.far = places[n-1].from, place.far || places[n-1].far
			places = places[:n-1]
		}
		places = append(places, place)
		at = next
	}
	if places == nil {
		return b.data, nil
	}
	return sound, places
}

// record returns the length of the sound record at an offset, or 0 if there is none.
func (b *block) record(at int) int {
	r, ok := parseRecord(b.data[at:])
	seq := r.seq &^ sequenceFlags
	if !ok || b.last > 0 && seq > b.last+b.jump || !b.checks(r) {
		return 0
	}
	if r.headers && r.seq&sequenceFlags == 0 && !headersEnd(r.rest) {
		return 0
	}
	b.last = max(b.last, seq)
	return r.length
}

// stored is a record of a block file, in the file's memory.
type stored struct {
	length  int
	headers bool
	seq     uint64 // with its flags
	fixed   []byte // sequence and time, as stored
	subject []byte
	rest    []byte // headers behind their length, if there are any, and data
	sum     []byte
}

// parseRecord reads the record at the start of b; false if b does not hold a whole one. It does not
// check the checksum. It returns the length of a record that extends beyond b, too.
func parseRecord(b []byte) (r stored, ok bool) {
	if len(b) < blockHead+blockChecksum {
		return r, false
	}
	length := binary.LittleEndian.Uint32(b)
	r.headers = length&withHeaders != 0
	n, subject := int64(length&^withHeaders), int(binary.LittleEndian.Uint16(b[20:]))
	least := blockHead + subject + blockChecksum
	if r.headers {
		least += 4
	}
	if n < int64(least) || n > largestRecord {
		return r, false
	}
	r.length = int(n)
	if r.length > len(b) {
		return r, false
	}
	end := r.length - blockChecksum
	r.seq, r.fixed = binary.LittleEndian.Uint64(b[4:]), b[4:20]
	r.subject, r.rest, r.sum = b[blockHead:blockHead+subject], b[blockHead+subject:end], b[end:r.length]
	return r, true
}

// checks reports whether the record's checksum is right.
func (b *block) checks(r stored) bool {
	content := r.rest
	if r.headers {
		content = content[4:]
	}
	b.hash.Reset()
	for _, part := range [][]byte{r.fixed, r.subject, content} {
		b.hash.Write(part) // a hash never returns an error
	}
	return bytes.Equal(b.hash.Sum(b.sum[:0]), r.sum)
}

// headersEnd reports whether the headers end where their length says.
func headersEnd(b []byte) bool {
	i := bytes.Index(b[4:], []byte("\r\n\r\n"))
	return i >= 0 && uint64(binary.LittleEndian.Uint32(b)) == uint64(i)+4
}
