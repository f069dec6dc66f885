package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// leafTag opens every leaf, so that no leaf of this format can be read as anything else.
const leafTag = "receiver-leaf/v1\n"

const (
	leafRecord byte = 'R'
	leafAbsent byte = 'A'
)

// ErrUnencodable is returned for a record that has no leaf encoding: its time does not fit
// 64-bit nanoseconds (years 1678 to 2262), or it is larger than 4 GiB. No message of a
// JetStream stream is either.
var ErrUnencodable = errors.New("record has no leaf encoding")

// Record is one message of a stream, whole. Nothing in it is interpreted.
type Record struct {
	Stream  string
	Seq     uint64
	Subject string
	Time    time.Time           // when the stream stored it; only the instant counts, to the nanosecond
	Header  map[string][]string // names are case-sensitive; the order of one name's values counts
	Lines   Lines               // the headers of a record from a Liner, whose Header is nil
	Data    []byte
}

// AppendLeaf appends the leaf encoding of r to dst. Two records have the same encoding
// exactly when they are the same record (nil and empty headers, and nil and empty data,
// are the same; so is one instant in two time zones). The error is ErrUnencodable.
func (r Record) AppendLeaf(dst []byte) ([]byte, error) { return r.appendLeaf(dst, new(sorter)) }

func (r Record) appendLeaf(dst []byte, s *sorter) ([]byte, error) {
	nanos := r.Time.UnixNano()
	if !time.Unix(0, nanos).Equal(r.Time) {
		return dst, fmt.Errorf("sequence %d: time %s: %w", r.Seq, r.Time, ErrUnencodable)
	}
	if r.size() > math.MaxUint32 {
		return dst, fmt.Errorf("sequence %d: over 4 GiB: %w", r.Seq, ErrUnencodable)
	}
	dst = append(dst, leafTag...)
	dst = append(dst, leafRecord)
	dst = appendString(dst, r.Stream)
	dst = binary.BigEndian.AppendUint64(dst, r.Seq)
	dst = appendString(dst, r.Subject)
	dst = binary.BigEndian.AppendUint64(dst, uint64(nanos))
	if r.Lines != nil {
		dst = s.append(dst, r.Lines)
	} else {
		dst = appendHeader(dst, r.Header)
	}
	return appendString(dst, r.Data), nil
}

// LeafHash returns the hash of r's leaf in the tree: SHA-256 of a zero byte and the leaf
// encoding (RFC 6962 section 2.1). The error is ErrUnencodable.
func (r Record) LeafHash() (tlog.Hash, error) {
	var h leafHasher
	return h.hash(r)
}

// leafHasher hashes leaves as tlog.RecordHash does, in one buffer for all of them.
type leafHasher struct {
	sorter
	buf []byte
}

func (h *leafHasher) hash(r Record) (tlog.Hash, error) {
	leaf, err := r.appendLeaf(append(h.buf[:0], 0), &h.sorter)
	h.buf = leaf
	if err != nil {
		return tlog.Hash{}, err
	}
	return sha256.Sum256(leaf), nil
}

// AbsentLeaf returns the leaf that stands for a sequence number whose message was already
// gone (deleted or expired) when it was sealed.
func AbsentLeaf(stream string, seq uint64) []byte {
	dst := append([]byte(leafTag), leafAbsent)
	dst = appendString(dst, stream)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// size is the number of bytes that came from outside, in 64 bits on every platform.
func (r Record) size() uint64 {
	n := uint64(len(r.Stream)) + uint64(len(r.Subject)) + uint64(len(r.Data))
	for name, values := range r.Header {
		n += uint64(len(name))
		for _, v := range values {
			n += uint64(len(v)) + 1
		}
	}
	for _, l := range r.Lines {
		n += uint64(len(l[0])) + uint64(len(l[1])) + 1
	}
	return n
}

// AbsentHash returns the hash of AbsentLeaf in the tree.
func AbsentHash(stream string, seq uint64) tlog.Hash {
	return tlog.RecordHash(AbsentLeaf(stream, seq))
}

func appendHeader(dst []byte, header map[string][]string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(header)))
	for _, name := range headerNames(header) {
		dst = appendString(dst, name)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(header[name])))
		for _, v := range header[name] {
			dst = appendString(dst, v)
		}
	}
	return dst
}

// headerNames returns the names in ascending order of their bytes.
func headerNames(header map[string][]string) []string {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}
