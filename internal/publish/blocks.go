package publish

import (
	"bytes"
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
)

// ownStreams are the streams whose files are looked through before a server opens a copy
// of them: all of ours, for a byte that changed anywhere means that somebody, or the disk,
// was at work.
var ownStreams = []string{
	JobsStream, AttemptsStream, ActionsStream, CheckpointsStream, WatchStream, objectsOfTiles, objectsOfPayloads,
}

const objectsOfTiles = "OBJ_" + TilesBucket

// objectsOfPayloads is the stream behind the bucket of the bodies.
const objectsOfPayloads = "OBJ_" + PayloadBucket

// A message in a block file of JetStream, after nats-server 2.15, filestore.go,
// writeMsgRecordLocked: length with a flag for headers (4 bytes), sequence with two flags
// (8), time (8), length of the subject (2), the subject, the length of the headers if
// there are any (4), headers, data, checksum (8). Integers are little-endian. The checksum
// covers all but the lengths; where headers end is told by the headers too.
const (
	blockHead     = 4 + 8 + 8 + 2
	blockChecksum = 8
	withHeaders   = 1 << 31
	sequenceFlags = 1<<63 | 1<<62 // erased, and a note that another one was removed
	largestRecord = 32 << 20
	largestJump   = 1 << 24 // of sequences within a file

	mostLookedOver = 1 << 27 // bytes of a file, for the ends of records: a few seconds' work

	compressedHead = "cmp\x01" // a whole file begins with it: none of ours does
)

// mendCopy looks through the files of a copy of a server's folder and leaves out of them
// what is damaged: a server would drop more than that, and there are bytes, changed in the
// right place, that it counts through for hours. It returns the damaged places.
func mendCopy(jetstream string) (damage []string, err error) {
	for _, stream := range ownStreams {
		folders, err := filepath.Glob(filepath.Join(jetstream, "*", "streams", stream, "msgs"))
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			places, err := mendStream(folder, stream)
			if err != nil {
				return nil, fmt.Errorf("looking through the messages of %s: %w", stream, err)
			}
			damage = append(damage, places...)
		}
	}
	return damage, nil
}

func mendStream(folder, stream string) (damage []string, err error) {
	files, err := blockFiles(folder)
	if err != nil {
		return nil, err
	}
	found, errs := make([][]string, len(files)), make([]error, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) { // as many files are read at once, 8 MiB each
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				found[i], errs[i] = mendFile(folder, stream, files[i])
			}
		})
	}
	workers.Wait()
	return slices.Concat(found...), errors.Join(errs...)
}

func mendFile(folder, stream string, index uint32) (damage []string, err error) {
	path := blockFolder{folder, stream}.name(index)
	sound, places, err := soundOf(path, stream, index)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	for _, p := range places {
		damage = append(damage, fmt.Sprintf("%s: msgs/%d.blk, %s", stream, index, p))
	}
	return damage, replaceBlock(path, sound)
}

// replaceBlock puts other bytes in the place of a block file, of a server that does not run.
// When it returns they are on disk; before, either all of them or those that were there.
func replaceBlock(path string, data []byte) error {
	// What the server noted of its files is no longer true; it makes this one anew.
	if err := os.Remove(filepath.Join(filepath.Dir(path), indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return replaceFile(path, data)
}

// syncFolder brings to disk which files are in a folder.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// soundOf reads a block file: what is sound of it, and where it is damaged.
func soundOf(path, stream string, index uint32) (sound []byte, places []damaged, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	b, err := newBlock(data, stream, index)
	if err != nil {
		return nil, nil, err
	}
	sound, places = b.sound()
	return sound, places, nil
}

// damaged is a place in a block file where no sound record is.
type damaged struct {
	from, to int
	after    uint64 // the sequence before it, 0 if there is none
	last     bool   // nothing sound follows
	far      bool   // a record begins there whose sequence cannot be
}

func (d damaged) String() string {
	after := ""
	if d.after > 0 {
		after = fmt.Sprintf(", after sequence %d", d.after)
	}
	return fmt.Sprintf("bytes %d to %d%s: no message with a right checksum", d.from, d.to-1, after)
}

// Damage returns what was left out of the private copy that Inspect made, because it is
// damaged: one line for each place. What is missing in it is missing in the streams.
func (s *Server) Damage() []string { return s.damage }

// blockFiles returns the numbers of the block files in a folder, ascending.
func blockFiles(folder string) ([]uint32, error) {
	entries, err := os.ReadDir(folder)
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

	looked int // how many bytes were looked over for the end of a record with a wrong length
}

func newBlock(data []byte, stream string, index uint32) (*block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return nil, err
	}
	b := &block{data: data, hash: h, jump: largestJump}
	if stream == objectsOfTiles || stream == WatchStream {
		b.jump = 1 << 28 // old messages stay while the younger around them are replaced
	}
	return b, nil
}

// sound returns the file without what is damaged in it, and where that was. A whole file,
// which nearly all are, is not copied.
func (b *block) sound() (sound []byte, places []damaged) {
	if bytes.HasPrefix(b.data, []byte(compressedHead)) {
		return b.data, nil // the server checks it as a whole
	}
	at := 0
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
		place := damaged{
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

// record returns the length of the sound record at a place, or 0 if there is none.
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
	fixed   []byte // sequence and time, as they stand
	subject []byte
	rest    []byte // headers behind their length, if there are any, and data
	sum     []byte
}

// parseRecord reads the record that bytes begin with; false if they do not hold one whole.
// Its checksum is not looked at. The length is also told of one that goes on behind them.
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

// headersEnd reports whether headers, behind their length, end where that says.
func headersEnd(b []byte) bool {
	i := bytes.Index(b[4:], []byte("\r\n\r\n"))
	return i >= 0 && uint64(binary.LittleEndian.Uint32(b)) == uint64(i)+4
}
