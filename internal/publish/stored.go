package publish

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// blockFolder is where a server on this machine keeps the messages of one stream, in files
// that it only ever appends to, and replaces whole.
type blockFolder struct{ path, stream string }

// blocksOf returns the folder of a stream's messages; false if it is not on this machine.
func (b *Bus) blocksOf(stream string) (blockFolder, bool) {
	path := filepath.Join(b.folder, "jetstream", ownerAccount, "streams", stream, "msgs")
	return blockFolder{path, stream}, b.folder != "" && b.opts.Domain == ""
}

// place is somewhere in a folder: a block file, and bytes into it.
type place struct {
	index uint32
	at    int64
}

// window is how much of a file is read at once.
const window int = 1 << 20

// errBehind ends a reading of a file that has come to what nobody asked for.
var errBehind = errors.New("behind the last sequence")

// reading is one reading of a stream's files.
type reading struct {
	from, to uint64
	yield    func(Message) error
	// next is the sequence behind all that were yielded.
	next uint64
	// server is the sequence from which on only the server tells: it takes a message from the
	// first file that it finds it in, which may be one that we cannot read.
	server uint64
}

// ask leaves what is at a sequence, and behind it, to the server.
func (r *reading) ask(seq uint64) { r.server = min(r.server, seq) }

// read yields what the files hold of the messages from..to, as it stands in them, if it is
// not the server's to tell; a second one of a sequence is yielded too. It begins at a known
// place if there is one, else looks into every file if all of them may hold of it, and
// returns where it ended.
func (f blockFolder) read(ctx context.Context, start place, all bool, r *reading) (place, error) {
	indexes, err := f.from(start, all, r.from)
	if err != nil || slices.ContainsFunc(indexes, f.compressed) {
		r.ask(r.from)
		return start, nil
	}
	end := start
	for _, index := range indexes {
		at := int64(0)
		if index == start.index {
			at = start.at
		}
		at, err := f.readBlock(ctx, place{index, at}, r)
		end = place{index, at}
		if errors.Is(err, errBehind) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
	}
	return end, nil
}

// from returns the files to read, ascending: those behind a known place, or all, or from
// the last one on that begins at or before a sequence. Who begins in the middle does not
// see what an earlier file holds of it against the order; who reads all does.
func (f blockFolder) from(start place, all bool, seq uint64) ([]uint32, error) {
	if start.index > 0 {
		indexes := []uint32{start.index}
		for next := start.index + 1; f.exists(next); next++ {
			indexes = append(indexes, next)
		}
		return indexes, nil
	}
	files, err := blockFiles(f.path)
	if err != nil || all {
		return files, err
	}
	for i, index := range slices.Backward(files) {
		if first, _ := f.first(index); first != 0 && first <= seq {
			return files[i:], nil
		}
	}
	return files, nil
}

// compressed reports whether a file is compressed, or cannot be opened.
func (f blockFolder) compressed(index uint32) bool {
	file, err := os.Open(f.name(index))
	if err != nil {
		return true
	}
	defer file.Close()
	var head [len(compressedHead)]byte
	_, _ = file.ReadAt(head[:], 0) // a shorter file is empty, or damaged
	return string(head[:]) == compressedHead
}

func (f blockFolder) name(index uint32) string {
	return filepath.Join(f.path, fmt.Sprintf("%d.blk", index))
}

func (f blockFolder) exists(index uint32) bool {
	_, err := os.Stat(f.name(index))
	return err == nil
}

// first returns the sequence and the time of the first message in a file, 0 if there is none.
func (f blockFolder) first(index uint32) (uint64, time.Time) {
	file, err := os.Open(f.name(index))
	if err != nil {
		return 0, time.Time{}
	}
	defer file.Close()
	var head [blockHead + blockChecksum]byte
	for at := int64(0); ; {
		if _, err := file.ReadAt(head[:], at); err != nil {
			return 0, time.Time{}
		}
		r, _ := parseRecord(head[:])
		seq := binary.LittleEndian.Uint64(head[4:])
		if r.length == 0 || seq&sequenceFlags == 0 {
			return seq, time.Unix(0, int64(binary.LittleEndian.Uint64(head[12:])))
		}
		at += int64(r.length)
	}
}

// readBlock yields what a reading wants of one file from a place on, and returns where it
// ended: at the end, at what is no record, or with errBehind.
func (f blockFolder) readBlock(ctx context.Context, p place, r *reading) (int64, error) {
	file, err := os.Open(f.name(p.index))
	if err != nil {
		r.ask(r.next)
		return p.at, nil
	}
	defer file.Close()
	b, err := newBlock(nil, f.stream, p.index)
	if err != nil {
		return p.at, err
	}
	for size := window; ctx.Err() == nil; {
		b.data = slices.Grow(b.data[:0], size)[:size]
		n, _ := file.ReadAt(b.data, p.at) // an error is the end, or for the server to meet
		b.data = b.data[:n]
		used, err := b.messages(r)
		p.at += int64(used)
		if err != nil || n < size && used == n {
			return p.at, err
		}
		rest, _ := parseRecord(b.data[used:])
		if n < size || rest.length == 0 && n-used >= blockHead+blockChecksum {
			r.ask(r.next) // it goes on behind the end, or is none
			return p.at, nil
		}
		size = max(window, rest.length)
	}
	return p.at, ctx.Err()
}

// messages yields what a reading wants of the records that the block's data begins with,
// and returns where they end. Lines and Data of a message are valid until yield returns.
func (b *block) messages(r *reading) (used int, err error) {
	text := string(b.data)
	for {
		s, ok := parseRecord(b.data[used:])
		if !ok {
			return used, nil
		}
		if s.seq&sequenceFlags == 0 && s.seq >= r.from {
			if err := b.give(s, text[used:], r); err != nil {
				return used, err
			}
		}
		used += s.length
	}
}

// give yields the message of a record whose bytes text begins with, or leaves it to the server.
func (b *block) give(s stored, text string, r *reading) error {
	if s.seq > r.to && b.checks(s) {
		return errBehind
	}
	m, sound, ok := b.message(s, text)
	switch {
	case !sound:
		r.ask(r.next)
		return nil
	case !ok:
		r.ask(s.seq)
	}
	if s.seq >= r.server {
		return nil
	}
	r.next = max(r.next, s.seq+1)
	return r.yield(m)
}

// message returns the message of a record whose bytes text begins with, if that is sound,
// and ok if its headers are for us to read.
func (b *block) message(r stored, text string) (m Message, sound, ok bool) {
	if !b.checks(r) {
		return Message{}, false, false
	}
	m = Message{
		Subject: text[blockHead : blockHead+len(r.subject)], Sequence: r.seq,
		Time: time.Unix(0, int64(binary.LittleEndian.Uint64(r.fixed[8:]))), Data: r.rest, Lines: [][2]string{},
	}
	if !r.headers {
		return m, true, true
	}
	size := uint64(binary.LittleEndian.Uint32(r.rest))
	if size+4 > uint64(len(r.rest)) {
		return Message{}, true, false
	}
	end := int(size) + 4
	head := blockHead + len(r.subject)
	lines, ok := appendLines(b.lines[:0], text[head+4:head+end])
	b.lines, m.Lines, m.Data = lines, lines, r.rest[end:]
	return m, true, ok
}
