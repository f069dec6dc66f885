package joblist

import "hash/maphash"

// index finds the record of a job. It holds a hash of each job's name and not the name,
// which is in the record: a million jobs take half the memory so. The jobs, if there ever
// are any, whose hash another one has already are held by their names.
type index struct {
	hash   func(key) uint64
	hashes map[uint64]uint32 // positions
	others map[key]uint32
}

func newIndex() index {
	seed := maphash.MakeSeed()
	return index{
		hash:   func(k key) uint64 { return maphash.Comparable(seed, k) },
		hashes: map[uint64]uint32{}, others: map[key]uint32{},
	}
}

// find returns the position of a job's record, and whether there is one; at returns the
// record at a position.
func (x index) find(k key, at func(int) *record) (position uint32, there bool) {
	if position, there = x.hashes[x.hash(k)]; there {
		if r := at(int(position)); r.source == k.source && r.id == k.id {
			return position, true
		}
	}
	position, there = x.others[k]
	return position, there
}

// put takes in a job that is not there.
func (x index) put(k key, position uint32) {
	h := x.hash(k)
	if _, taken := x.hashes[h]; taken {
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
