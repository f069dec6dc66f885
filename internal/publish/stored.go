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

// read yields what the files hold of the messages from..to, as it stands in them: what is
// not whole or not sound is left out, and the server has to be asked for it. It returns
// where it ended.
func (f blockFolder) read(ctx context.Context, start place, from, to uint64, yield func(Message) error) (place, error) {
	indexes, err := f.from(start, from)
	if err != nil {
		return place{}, nil
	}
	end := start
	for _, index := range indexes {
		at := int64(0)
		if index == start.index {
			at = start.at
		}
		at, err := f.readBlock(ctx, place{index, at}, from, to, yield)
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

// from returns the files to read, ascending: those behind a known place, or from the last
// one on that begins at or before a sequence.
func (f blockFolder) from(start place, seq uint64) ([]uint32, error) {
	if start.index > 0 {
		indexes := []uint32{start.index}
		for next := start.index + 1; f.exists(next); next++ {
			indexes = append(indexes, next)
		}
		return indexes, nil
	}
	all, err := blockFiles(f.path)
	if err != nil {
		return nil, err
	}
	for i, index := range slices.Backward(all) {
		if first := f.first(index); first != 0 && first <= seq {
			return all[i:], nil
		}
	}
	return all, nil
}

func (f blockFolder) name(index uint32) string {
	return filepath.Join(f.path, fmt.Sprintf("%d.blk", index))
}

func (f blockFolder) exists(index uint32) bool {
	_, err := os.Stat(f.name(index))
	return err == nil
}

// first returns the sequence of the first message in a file, 0 if there is none.
func (f blockFolder) first(index uint32) uint64 {
	file, err := os.Open(f.name(index))
	if err != nil {
		return 0
	}
	defer file.Close()
	var head [blockHead + blockChecksum]byte
	for at := int64(0); ; {
		if _, err := file.ReadAt(head[:], at); err != nil {
			return 0
		}
		r, _ := parseRecord(head[:])
		seq := binary.LittleEndian.Uint64(head[4:])
		if r.length == 0 || seq&sequenceFlags == 0 {
			return seq
		}
		at += int64(r.length)
	}
}

// readBlock yields the sound messages from..to of one file from a place on, and returns
// where it ended: at the end, at what is not sound, or with errBehind.
func (f blockFolder) readBlock(ctx context.Context, p place, from, to uint64, yield func(Message) error) (int64, error) {
	file, err := os.Open(f.name(p.index))
	if err != nil {
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
		used, err := b.messages(from, to, yield)
		p.at += int64(used)
		if err != nil || n < size {
			return p.at, err
		}
		size = window
		if used == 0 {
			r, _ := parseRecord(b.data)
			if r.length <= n {
				return p.at, nil // damaged
			}
			size = r.length // larger than the window
		}
	}
	return p.at, ctx.Err()
}

// messages yields the sound messages from..to at the beginning of the block's data, and
// returns where they end. Their Lines and Data are valid until yield returns.
func (b *block) messages(from, to uint64, yield func(Message) error) (used int, err error) {
	text := string(b.data)
	for {
		r, ok := parseRecord(b.data[used:])
		if !ok {
			return used, nil
		}
		if r.seq&sequenceFlags == 0 && r.seq > to {
			return used, errBehind
		}
		if r.seq&sequenceFlags == 0 && r.seq >= from {
			m, ok := b.message(r, text[used:])
			if !ok {
				return used, nil
			}
			if err := yield(m); err != nil {
				return used, err
			}
		}
		used += r.length
	}
}

// message returns the message of a record whose bytes text begins with; false if it is not
// sound, or its headers are not for us to read.
func (b *block) message(r stored, text string) (Message, bool) {
	if !b.checks(r) {
		return Message{}, false
	}
	m := Message{
		Subject: text[blockHead : blockHead+len(r.subject)], Sequence: r.seq,
		Time: time.Unix(0, int64(binary.LittleEndian.Uint64(r.fixed[8:]))), Data: r.rest, Lines: [][2]string{},
	}
	if !r.headers {
		return m, true
	}
	size := uint64(binary.LittleEndian.Uint32(r.rest))
	if size+4 > uint64(len(r.rest)) {
		return Message{}, false
	}
	end := int(size) + 4
	head := blockHead + len(r.subject)
	lines, ok := appendLines(b.lines[:0], text[head+4:head+end])
	b.lines, m.Lines, m.Data = lines, lines, r.rest[end:]
	return m, ok
}
