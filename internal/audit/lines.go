package audit

import (
	"context"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// Lines are headers as they stand in a message, a name and a value each. The order of one
// name's values counts, that of the names does not.
type Lines [][2]string

// Liner is a Source that can leave it to the reader to look headers up: a map for each
// record costs more than to hash it.
type Liner interface {
	Source
	// Lines is Records, of records that have their headers in Lines, which is not nil then if there
	// are none, or some of them still in Header. Lines and Data are valid until yield returns, and
	// strings may share memory that is kept as long as a part of it is.
	Lines(ctx context.Context, from, to uint64, yield func(Record) error) error
}

// ReadRecords reads the stream in the way that costs least.
func ReadRecords(ctx context.Context, src Source, from, to uint64, yield func(Record) error) error {
	if l, ok := src.(Liner); ok {
		return l.Lines(ctx, from, to, yield)
	}
	return src.Records(ctx, from, to, yield)
}

// sorter brings lines into the order of the leaf encoding, again and again in the same
// memory. It remembers how the names that it has met are ordered: nearly all records of a
// stream have the same ones, and to sort them costs more than to hash the record.
type sorter struct {
	ranks map[string]int // of known names in ascending order of their bytes
	place [maxNames]int  // of the line with the name of each rank
	order []int
}

// maxNames bounds the names that are remembered.
const maxNames = 64

// sorted returns the lines' places, in ascending order of their names' bytes and those of
// one name in theirs, and how many names there are.
func (s *sorter) sorted(lines Lines) (order []int, names int) {
	s.order = s.order[:0]
	met := uint64(0)
	for i, l := range lines {
		rank, known := s.ranks[l[0]]
		if !known || met>>rank&1 != 0 {
			return s.sort(lines)
		}
		met |= 1 << rank
		s.place[rank] = i
	}
	for ; met != 0; met &= met - 1 {
		s.order = append(s.order, s.place[bits.TrailingZeros64(met)])
	}
	return s.order, len(s.order)
}

// sort is sorted without knowing the names, and learns them.
func (s *sorter) sort(lines Lines) (order []int, names int) {
	for i := range lines {
		s.order = append(s.order, i)
	}
	slices.SortStableFunc(s.order, func(a, b int) int { return strings.Compare(lines[a][0], lines[b][0]) })
	all := slices.Collect(maps.Keys(s.ranks))
	for i, at := range s.order {
		name := lines[at][0]
		if i > 0 && lines[s.order[i-1]][0] == name {
			continue
		}
		names++
		if _, known := s.ranks[name]; !known {
			all = append(all, strings.Clone(name))
		}
	}
	if len(all) <= maxNames {
		slices.Sort(all)
		s.ranks = make(map[string]int, len(all))
		for rank, name := range all {
			s.ranks[name] = rank
		}
	}
	return s.order, names
}

// append is appendHeader for lines.
func (s *sorter) append(dst []byte, lines Lines) []byte {
	order, names := s.sorted(lines)
	dst = binary.BigEndian.AppendUint32(dst, uint32(names))
	for len(order) > 0 {
		n := sameName(lines, order)
		dst = appendString(dst, lines[order[0]][0])
		dst = binary.BigEndian.AppendUint32(dst, uint32(n))
		for _, at := range order[:n] {
			dst = appendString(dst, lines[at][1])
		}
		order = order[n:]
	}
	return dst
}

// sameName returns how many lines at the beginning of an order have one name.
func sameName(lines Lines, order []int) int {
	n := 1
	for n < len(order) && lines[order[n]][0] == lines[order[0]][0] {
		n++
	}
	return n
}

// headers makes maps of lines, again and again in the same memory.
type headers struct {
	sorter
	header map[string][]string
	values []string
}

// whole returns the record with its headers in Header, valid until the next call.
func (h *headers) whole(r Record) Record {
	if r.Lines == nil {
		return r
	}
	if h.header == nil {
		h.header = make(map[string][]string, len(r.Lines))
	}
	clear(h.header)
	h.values = h.values[:0]
	order, _ := h.sorted(r.Lines)
	for _, at := range order {
		h.values = append(h.values, r.Lines[at][1])
	}
	for i := 0; i < len(order); {
		n := sameName(r.Lines, order[i:])
		h.header[r.Lines[order[i]][0]] = h.values[i : i+n : i+n]
		i += n
	}
	r.Header, r.Lines = h.header, nil
	return r
}

// WithHeader returns the record with its headers in Header, if they are in Lines.
func (r Record) WithHeader() Record { return new(headers).whole(r) }

// Own returns a record that shares no memory with others.
func (r Record) Own() Record {
	lines := r.Lines
	r.Subject, r.Data, r.Lines = strings.Clone(r.Subject), slices.Clone(r.Data), nil
	for _, l := range lines {
		r.Lines = append(r.Lines, [2]string{strings.Clone(l[0]), strings.Clone(l[1])})
	}
	return r
}
