package blockfile

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

// Position is a position in a folder: a block file, and an offset in it.
type Position struct {
	index uint32
	at    int64
}

// window is how much of a file is read at once.
const window int = 1 << 20

// errBehind ends the reading of a file that is behind the last sequence to be read.
var errBehind = errors.New("after the last sequence")

// Message is a message as it is stored in a file.
type Message struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	// Lines are the headers, a name and a value each.
	Lines [][2]string
	Data  []byte
}

// reading is one reading of a stream's files.
type reading struct {
	from, to uint64
	yield    func(Message) error
	// next is the sequence behind all that were yielded.
	next uint64
	// server is the sequence from which on only the server's answer counts: it reads a message from
	// the first file that holds it, which may be one that this package cannot read.
	server uint64
}

// ask leaves the messages from a sequence on to the server.
func (r *reading) ask(seq uint64) { r.server = min(r.server, seq) }

// Read yields the messages from..to that the files hold, as stored, unless only the server's answer
// counts; it yields a second message of the same sequence, too. It starts at a known position if
// there is one; otherwise it searches every file, if all of them may hold such messages. It returns
// where it ended, and the sequence from which on only the server's answer counts. Lines and Data of
// a message are valid until yield returns.
func (f Folder) Read(ctx context.Context, start Position, all bool, from, to uint64, yield func(Message) error) (end Position, server uint64, err error) {
	r := &reading{from: from, to: to, next: from, server: to + 1, yield: yield}
	indexes, err := f.from(start, all, from)
	if err != nil || slices.ContainsFunc(indexes, f.compressed) {
		r.ask(from)
		return start, r.server, nil
	}
	end = start
	for _, index := range indexes {
		at := int64(0)
		if index == start.index {
			at = start.at
		}
		at, err := f.readBlock(ctx, Position{index, at}, r)
		end = Position{index, at}
		if errors.Is(err, errBehind) {
			break
		}
		if err != nil {
			return end, r.server, err
		}
	}
	return end, r.server, nil
}

// from returns the files to read, ascending: those from a known position on, or all, or from the
// last file on that begins at or before a sequence. A reader that starts in the middle does not see
// messages that an earlier file holds out of order; a reader of all files does.
func (f Folder) from(start Position, all bool, seq uint64) ([]uint32, error) {
	if start.index > 0 {
		indexes := []uint32{start.index}
		for next := start.index + 1; f.exists(next); next++ {
			indexes = append(indexes, next)
		}
		return indexes, nil
	}
	files, err := f.Indexes()
	if err != nil || all {
		return files, err
	}
	for i, index := range slices.Backward(files) {
		if first, _ := f.First(index); first != 0 && first <= seq {
			return files[i:], nil
		}
	}
	return files, nil
}

// compressed reports whether a file is compressed, or cannot be opened.
func (f Folder) compressed(index uint32) bool {
	file, err := os.Open(f.File(index))
	if err != nil {
		return true
	}
	defer file.Close()
	var head [len(compressedHead)]byte
	_, _ = file.ReadAt(head[:], 0) // a shorter file is empty, or damaged
	return string(head[:]) == compressedHead
}

// File returns the path of a file.
func (f Folder) File(index uint32) string {
	return filepath.Join(f.Path, fmt.Sprintf("%d.blk", index))
}

func (f Folder) exists(index uint32) bool {
	_, err := os.Stat(f.File(index))
	return err == nil
}

// First returns the sequence and the time of the first message in a file, 0 if there is none.
func (f Folder) First(index uint32) (uint64, time.Time) {
	file, err := os.Open(f.File(index))
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

// readBlock yields the messages of one file that a reading wants, from an offset on, and returns
// where it ended: at the end, at bytes that are no record, or with errBehind.
func (f Folder) readBlock(ctx context.Context, p Position, r *reading) (int64, error) {
	file, err := os.Open(f.File(p.index))
	if err != nil {
		r.ask(r.next)
		return p.at, nil
	}
	defer file.Close()
	b, err := f.block(p.index, nil)
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
			r.ask(r.next) // it extends beyond the end, or is no record
			return p.at, nil
		}
		size = max(window, rest.length)
	}
	return p.at, ctx.Err()
}

// messages yields the messages that a reading wants from the records at the start of the block's
// data, and returns where they end.
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

// give yields the message of a record, whose bytes are the start of text, or leaves it to the
// server.
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

// message returns the message of a record, whose bytes are the start of text. Sound says whether
// its checksum is right, and ok whether its headers can be read here.
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

// Newest collects the last sound message of each subject in a file.
func (f Folder) Newest(index uint32, of map[string][]byte) error {
	data, err := os.ReadFile(f.File(index))
	if err != nil {
		return err
	}
	b, err := f.block(index, nil)
	if err != nil {
		return err
	}
	text := string(data)
	for r, ok := parseRecord(data); ok; r, ok = parseRecord(data) {
		m, sound, readable := b.message(r, text)
		if sound && readable && r.seq&sequenceFlags == 0 {
			of[m.Subject] = m.Data
		}
		data, text = data[r.length:], text[r.length:]
	}
	return nil
}
