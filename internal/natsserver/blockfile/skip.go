package blockfile

import (
	"bytes"
	"encoding/binary"
)

// skip returns where to continue behind an offset without a sound record. It does not search the
// content of a record for other records: an external sender chose the body, and the key of the
// checksums is public, so a body may hold whole records that nobody ever received.
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

// claim returns the length and the sequence that the bytes at an offset would have as a record;
// length 0 if no record can be there.
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

// begins reports whether a record begins at an offset, or the file ends there: a sound record, or
// one with the sequence that follows before.
func (b *block) begins(at int, before uint64) bool {
	if at >= len(b.data) {
		return at == len(b.data)
	}
	length, seq := b.claim(at)
	return length > 0 && seq == before+1 || b.isSound(at)
}

// wrongLength returns where the record at an offset ends if only its length is wrong, which the
// checksum does not cover; 0 if it is damaged otherwise.
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
		b.looked -= end
		end = b.candidate(at+end) - at
		b.looked += end + 1
		if r, _ := parseRecord(left[end:]); r.length == 0 && end < len(left) {
			continue // no record begins there
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
	for at = b.candidate(at); at < len(b.data) && !b.isSound(at); {
		at = b.candidate(at + 1)
	}
	return at
}

// candidate returns the first offset from at on whose bytes can be the length of a record, or the
// end of the file. Most damage is zeros, which it passes over quickly.
func (b *block) candidate(at int) int {
	for ; at+4 <= len(b.data); at++ {
		if n := binary.LittleEndian.Uint32(b.data[at:]) &^ withHeaders; n >= blockHead+blockChecksum && n <= largestRecord {
			return at
		}
	}
	return len(b.data)
}

// isSound reports whether a sound record begins at an offset.
func (b *block) isSound(at int) bool {
	before := b.last
	defer func() { b.last = before }()
	return b.record(at) > 0
}
