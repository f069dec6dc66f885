package publish

import (
	"bytes"
	"encoding/binary"
)

// skip returns where to go on behind a place where no sound record is. What is in a record
// is not looked through for others: a body is a stranger's, and the key of the checksums is
// known to all, so it may hold whole records that nobody ever received.
func (b *block) skip(at int) int {
	length, seq := b.claim(at)
	end := at + length
	if length > 0 && b.begins(end, seq) {
		return end
	}
	if right := b.wrongLength(at); right > 0 {
		return right
	}
	if length == 0 || b.last > 0 && (seq <= b.last || seq > b.last+b.jump) {
		return b.next(at + 1) // no record's beginning
	}
	return min(end, len(b.data)) // torn when it was written, or the next one is damaged too
}

// claim returns the length and the sequence that a record at a place says it has; no length
// if none can be there.
func (b *block) claim(at int) (length int, seq uint64) {
	left := b.data[min(at, len(b.data)):]
	if len(left) < blockHead+blockChecksum {
		return 0, 0
	}
	n := int64(binary.LittleEndian.Uint32(left) &^ withHeaders)
	if n < blockHead+blockChecksum || n > largestRecord {
		n = 0
	}
	return int(n), binary.LittleEndian.Uint64(left[4:]) &^ sequenceFlags
}

// begins reports whether a record begins at a place, or the file ends there: a sound one,
// or one that may be, to judge by the sequence before it.
func (b *block) begins(at int, before uint64) bool {
	if at >= len(b.data) {
		return at == len(b.data)
	}
	length, seq := b.claim(at)
	return length > 0 && seq == before+1 || b.isSound(at)
}

// wrongLength returns where the record at a place ends if only its length is wrong, 0 if
// that is not so: the checksum does not cover it.
func (b *block) wrongLength(at int) int {
	left := b.data[at:]
	if len(left) < blockHead+blockChecksum || b.looked > mostLookedOver {
		return 0
	}
	from := blockHead + int(binary.LittleEndian.Uint16(left[20:])) // of the content
	if from+blockChecksum > len(left) {
		return 0
	}
	b.hash.Reset()
	b.hash.Write(left[4:20]) // a hash never returns an error
	b.hash.Write(left[blockHead:from])
	if left[3]&(withHeaders>>24) != 0 {
		from += 4
	}
	for end := from + blockChecksum; end <= len(left); end++ {
		b.looked++
		if r, _ := parseRecord(left[end:]); r.length == 0 && end < len(left) {
			continue // nothing begins there
		}
		b.hash.Write(left[from : end-blockChecksum])
		from = end - blockChecksum
		if bytes.Equal(b.hash.Sum(b.sum[:0]), left[from:end]) {
			return at + end
		}
	}
	return 0
}

// next returns where the next sound record begins, or the end of the file.
func (b *block) next(at int) int {
	for at < len(b.data) && !b.isSound(at) {
		at++
	}
	return at
}

// isSound reports whether a sound record is at a place.
func (b *block) isSound(at int) bool {
	before := b.last
	defer func() { b.last = before }()
	return b.record(at) > 0
}
