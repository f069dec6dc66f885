package joblist

import (
	"encoding/binary"
	"hash/fnv"
)

// past knows of the submitted jobs that a full projection has left out: for any other job it nearly
// always says that it has none such, so that no callback costs a question to the store. It is a
// Bloom filter of a fixed size, made with the first job: of eight million jobs it takes 0.2 % of
// others for one of them, of twenty million 4 %. It never forgets one.
type past []byte

const (
	pastSize   = 16 << 20 // bytes, a power of two
	pastProbes = 4
)

func (p *past) add(source, id string) {
	if *p == nil {
		*p = make(past, pastSize)
	}
	for _, bit := range p.bits(source, id) {
		(*p)[bit/8] |= 1 << (bit % 8)
	}
}

// mayHave is true for every job that was added.
func (p *past) mayHave(source, id string) bool {
	if *p == nil {
		return false
	}
	for _, bit := range p.bits(source, id) {
		if (*p)[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// bits are the same in every process, since a snapshot holds a past.
func (*past) bits(source, id string) (bits [pastProbes]uint64) {
	h := fnv.New128a()
	h.Write([]byte(source))
	h.Write([]byte{0})
	h.Write([]byte(id))
	sum := h.Sum(make([]byte, 0, 16))
	for i := range bits {
		bits[i] = uint64(binary.BigEndian.Uint32(sum[4*i:])) % (8 * pastSize)
	}
	return bits
}

func (p *past) appendTo(data []byte) []byte {
	return append(binary.AppendUvarint(data, uint64(len(*p))), *p...)
}

// past reads what appendTo wrote.
func (d *decoder) past() past {
	switch n := d.uint(); {
	case n == pastSize && n <= uint64(len(d.data)):
		return past(d.text(pastSize))
	case n != 0:
		d.fail()
	}
	return nil
}
