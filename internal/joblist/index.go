package joblist

import (
	"hash/maphash"
	"strings"
)

// index finds the record of a job. It holds a hash of each job's name and not the name,
// which is in the record: a million jobs take a fraction of the memory so. The few jobs whose hash
// another one has already, some hundred of a million, are held by their names.
type index struct {
	hash   func(key) uint32
	hashes map[uint32]uint32 // positions
	others map[key]uint32
}

func newIndex() index {
	seed := maphash.MakeSeed()
	return index{
		hash:   func(k key) uint32 { return uint32(maphash.Comparable(seed, k)) },
		hashes: map[uint32]uint32{}, others: map[key]uint32{},
	}
}

// find returns the position of a job's record, and whether there is one; at returns the
// record at a position.
func (x index) find(k key, at func(int) row) (position uint32, there bool) {
	if position, there = x.hashes[x.hash(k)]; there {
		if r := at(int(position)); r.source == k.source && string(r.id) == k.id {
			return position, true
		}
	}
	position, there = x.others[k]
	return position, there
}

// put takes in a job that is not there. The id may be a part of something longer.
func (x index) put(k key, position uint32) {
	h := x.hash(k)
	if _, taken := x.hashes[h]; taken {
		k.id = strings.Clone(k.id)
		x.others[k] = position
		return
	}
	x.hashes[h] = position
}

// remove takes out the job at a position.
func (x index) remove(k key, position uint32) {
	if h := x.hash(k); x.hashes[h] == position {
		if _, there := x.others[k]; !there {
			delete(x.hashes, h)
			return
		}
	}
	delete(x.others, k)
}
