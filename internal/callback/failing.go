package callback

import (
	"time"
)

const (
	// MaxFailing is how many failing deliveries of one source are distinguished exactly. Further
	// ones are remembered by hashes, which a flood fills up but does not remove.
	MaxFailing = 256
	// MaxGivenUp is how many deliveries of one source are known that the platform has given up.
	MaxGivenUp = 64
	// GivenUpKept is how long each of them is.
	GivenUpKept = 7 * 24 * time.Hour

	waysOfFailing = 8 // places that one delivery may have: the work for each is the same
)

// failing tells apart the deliveries of one source that fail. Anybody can make up any number
// of them, and repeat each. So an attempt counts only where the platform makes one, a delivery
// that has come more often goes before one that has come less, and what has no place leaves a
// trace.
type failing struct {
	awaited [MaxFailing]failure
	givenUp map[uint64]time.Time // since when

	hasFailed bool // any delivery, since the start; without one, nothing needs to be forgotten
}

// failure is a delivery that was answered other than 2xx each time; the zero value is a free
// place.
type failure struct {
	id       uint64
	attempts int
	last     time.Time
}

// next returns when the delivery should come again, and from when until when it is awaited.
func (f failure) next() (at, early, overdue time.Time) {
	pause := spacing[f.attempts-1]
	at = f.last.Add(pause)
	return at, at.Add(-pause / 2), at.Add(max(pause, time.Minute))
}

func (f failure) isAwaited(now time.Time) bool {
	if f.attempts == 0 {
		return false
	}
	_, _, overdue := f.next()
	return !now.After(overdue)
}

// places are those that a delivery may have.
func (a *failing) places(id uint64) []failure {
	first := int(id>>32) % (MaxFailing / waysOfFailing) * waysOfFailing
	return a.awaited[first : first+waysOfFailing]
}

// fail counts an attempt.
func (a *failing) fail(id uint64, at time.Time, t *traces) {
	a.hasFailed = true
	delete(a.givenUp, id) // released from the queue, it has all its attempts again
	places := a.places(id)
	worst := 0
	for i := range places {
		f := &places[i]
		if !f.isAwaited(at) {
			*f = failure{}
		}
		if f.id == id {
			if _, early, _ := f.next(); at.Before(early) {
				return // the platform would wait
			}
			f.attempts, f.last = f.attempts+1, at
			a.giveUp(f)
			return
		}
		if f.attempts < places[worst].attempts {
			worst = i
		}
	}
	f := failure{id: id, attempts: 1 + t.find(id, at), last: at}
	if place := &places[worst]; place.attempts < f.attempts {
		*place, f = f, *place
		a.giveUp(place)
	}
	if f.attempts > 0 {
		t.leave(f)
	}
}

// giveUp moves a delivery that has come for the last time to those given up.
func (a *failing) giveUp(place *failure) {
	if place.attempts <= len(spacing) {
		return
	}
	if a.givenUp == nil {
		a.givenUp = map[uint64]time.Time{}
	}
	a.givenUp[place.id] = place.last
	if len(a.givenUp) > MaxGivenUp {
		oldest := place.id
		for id, since := range a.givenUp {
			if since.Before(a.givenUp[oldest]) {
				oldest = id
			}
		}
		delete(a.givenUp, oldest)
	}
	*place = failure{}
}

// forget takes out a delivery that was taken.
func (a *failing) forget(id uint64) {
	delete(a.givenUp, id)
	places := a.places(id)
	for i := range places {
		if places[i].id == id {
			places[i] = failure{}
		}
	}
}

const (
	traceBits  = 1 << 20 // of one age: 128 KiB
	traceAges  = 8       // a quarter of a pause each
	traceMarks = 4       // bits for each delivery
)

// traces remember failing deliveries that have no place, each by how often it has come and
// when, as a Bloom filter does: a trace is never lost before its time, but what leaves none
// may seem to have done so, one in some hundreds where tens of thousands come in a second. They
// take no more than 5 MiB, and nothing before there is a flood.
type traces [len(spacing)][traceAges]trace

type trace struct {
	epoch int64
	bits  []uint64
}

func epoch(stage int, at time.Time) int64 { return at.UnixNano() / int64(spacing[stage]/4) }

// leave remembers a delivery.
func (t *traces) leave(f failure) {
	stage := f.attempts - 1
	e := epoch(stage, f.last)
	b := &t[stage][uint64(e)%traceAges]
	switch {
	case b.bits == nil:
		b.bits = make([]uint64, traceBits/64)
	case b.epoch > e:
		return // too old to be awaited
	case b.epoch < e:
		clear(b.bits)
	}
	b.epoch = e
	for i := range uint64(traceMarks) {
		bit := mark(f.id, i)
		b.bits[bit/64] |= 1 << (bit % 64)
	}
}

// find returns how often a delivery has come that should come again about now.
func (t *traces) find(id uint64, at time.Time) int {
	for stage := len(t) - 1; stage >= 0; stage-- {
		// From half of the pause, or three quarters, to one and a half or three quarters.
		for e := epoch(stage, at) - 6; e <= epoch(stage, at)-3; e++ {
			if b := &t[stage][uint64(e)%traceAges]; b.bits != nil && b.epoch == e && b.has(id) {
				return stage + 1
			}
		}
	}
	return 0
}

func (b *trace) has(id uint64) bool {
	for i := range uint64(traceMarks) {
		if bit := mark(id, i); b.bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

func mark(id, i uint64) uint64 { return (id + i*(id>>32|1)) % traceBits }
