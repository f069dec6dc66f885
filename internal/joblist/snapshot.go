package joblist

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Snapshots keep the contents of a projection, so that the next one need not begin with the first
// event of the stream. A snapshot is a cache: it is checked against the stream, dropped in any
// doubt, and may be removed at any moment.
type Snapshots interface {
	// Snapshot returns the newest snapshot, or nil if there is none.
	Snapshot(ctx context.Context) ([]byte, error)
	// SaveSnapshot puts one in its place.
	SaveSnapshot(ctx context.Context, data io.Reader) error
	// Identity names the stream JOBS as it is: another name means that it was made anew,
	// or that messages were removed from its middle. First and last are the sequences of
	// the oldest message it holds and of the newest it ever held.
	Identity(ctx context.Context) (name string, first, last uint64, err error)
}

// savePause is how long the last snapshot must be ago for another one to be written.
const savePause = 10 * time.Minute

// snapshotVersion begins a snapshot. It changes with its form and with what a record
// means, so that an older program's is not read.
const snapshotVersion = "receiver projection 4\n"

// errSnapshot marks a snapshot that is not of this stream, or is damaged.
var errSnapshot = errors.New("the snapshot cannot be used")

// load begins with a snapshot, if there is one that fits.
func (p *Projection) load(ctx context.Context) error {
	data, err := p.o.Snapshots.Snapshot(ctx)
	if err != nil || data == nil {
		return err
	}
	name, first, last, err := p.o.Snapshots.Identity(ctx)
	if err != nil {
		return err
	}
	fresh := NewProjection(p.o)
	d := decoder{data: data}
	if d.text(len(snapshotVersion)) != snapshotVersion || d.string() != name {
		return fmt.Errorf("%w: it is of another version or another stream", errSnapshot)
	}
	fresh.next = d.uint()
	if fresh.next > last+1 {
		return fmt.Errorf("%w: it ends at sequence %d, but the stream ends at %d", errSnapshot, fresh.next-1, last)
	}
	fresh.decode(&d, first)
	if d.failed || len(d.data) > 0 {
		return fmt.Errorf("%w: it is damaged", errSnapshot)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end() > 0 {
		return nil // filled by other means meanwhile
	}
	p.words, p.chunks, p.index, p.counts, p.lost, p.past, p.next = fresh.words, fresh.chunks, fresh.index, fresh.counts, fresh.lost, fresh.past, fresh.next
	p.saved = p.next
	return nil
}

// save writes a snapshot if enough has come since the last.
func (p *Projection) save(ctx context.Context) error {
	p.mu.RLock()
	due := p.next-p.saved >= p.snapshotEvery && p.o.Now().Sub(p.savedAt) >= savePause
	p.mu.RUnlock()
	if !due {
		return nil
	}
	name, _, _, err := p.o.Snapshots.Identity(ctx)
	if err != nil {
		return err
	}
	data, next := p.encode(name)
	if err := p.o.Snapshots.SaveSnapshot(ctx, data); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved, p.savedAt = next, p.o.Now()
	return nil
}

// encode returns what writes the projection down while it is read, a chunk at a time, without
// holding it up: events may come meanwhile. They are then in the snapshot and, since it says to go
// on from where it began, are folded in once more, which changes nothing.
func (p *Projection) encode(name string) (data io.Reader, next uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	begin := append([]byte(snapshotVersion), appendString(nil, name)...)
	return &encoder{p: p, front: p.front, end: p.end(), rest: binary.AppendUvarint(begin, p.next)}, p.next
}

// encoder reads as a snapshot.
type encoder struct {
	p          *Projection
	front, end int    // of what is to be written still
	rest       []byte // of what was written, and is to be read
	last       bool   // nothing follows the rest
}

// Read implements io.Reader.
func (e *encoder) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.last {
			return 0, io.EOF
		}
		e.more()
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// more writes the next records, or, behind them, what they refer to.
func (e *encoder) more() {
	e.p.mu.RLock()
	defer e.p.mu.RUnlock()
	e.rest = make([]byte, 0, chunkSize*64)
	e.front = max(e.front, e.p.front) // what was left out meanwhile is not written
	if to := min(e.front+chunkSize, e.end); e.front < to {
		for ; e.front < to; e.front++ {
			e.rest = e.p.at(e.front).appendTo(e.rest)
		}
		return
	}
	e.last = true
	e.rest = binary.AppendUvarint(e.rest, 0) // no record has first 0
	e.rest = binary.AppendUvarint(e.rest, uint64(len(e.p.words.names)))
	for _, w := range e.p.words.names {
		e.rest = appendString(e.rest, w)
	}
	e.rest = e.p.past.appendTo(e.rest)
}

func (r row) appendTo(data []byte) []byte {
	data = binary.AppendUvarint(data, r.first)
	data = append(binary.AppendUvarint(data, uint64(len(r.id))), r.id...)
	for _, n := range []uint64{r.last - r.first, uint64(r.source), uint64(r.object), uint64(r.status), uint64(r.evidence)} {
		data = binary.AppendUvarint(data, n)
	}
	for _, n := range []int64{r.heard, r.changed - r.heard, sinceHeard(r.record, r.submitted), sinceHeard(r.record, r.finished), r.records, r.failed} {
		data = binary.AppendVarint(data, n)
	}
	errors := byte(0)
	if r.errors {
		errors = 1
	}
	return append(data, r.state, r.told, r.result, errors)
}

// sinceHeard writes a time that may be missing as a small number: its distance, one more
// where it is not before, since zero stands for none.
func sinceHeard(r *record, at int64) int64 {
	d := at - r.heard
	switch {
	case at == 0:
		return 0
	case d < 0:
		return d
	}
	return d + 1
}

func (r *record) fromHeard(d int64) int64 {
	switch {
	case d == 0:
		return 0
	case d < 0:
		return r.heard + d
	}
	return r.heard + d - 1
}

func appendString(data []byte, s string) []byte {
	return append(binary.AppendUvarint(data, uint64(len(s))), s...)
}

// decode reads the records and then the words that they refer to. Jobs all of whose
// events are gone from the stream by now are left out.
func (p *Projection) decode(d *decoder, first uint64) {
	for !d.failed {
		r, id := d.record()
		if r.first == 0 {
			break
		}
		if r.last < first {
			continue
		}
		position := p.append(r, id)
		p.index.put(key{r.source, id}, position)
		p.count(&r, +1)
	}
	p.words = words{numbers: map[string]uint32{}}
	for n := d.uint(); n > 0 && !d.failed; n-- {
		name := d.string()
		p.words.numbers[name] = uint32(len(p.words.names))
		p.words.names = append(p.words.names, name)
	}
	p.past = d.past()
	known := uint32(len(p.words.names))
	d.failed = d.failed || known == 0 || p.words.names[0] != "" || d.highest >= known
}

// decoder reads from the front of data. After the first fault it reads zeros.
type decoder struct {
	data    []byte
	failed  bool
	highest uint32 // of the numbers of words
}

func (d *decoder) record() (r record, id string) {
	r.first = d.uint()
	if r.first == 0 {
		return r, ""
	}
	id = d.string()
	r.last = r.first + d.uint()
	r.source, r.object, r.status, r.evidence = d.word(), d.word(), d.word(), d.word()
	r.heard = d.int()
	r.changed = r.heard + d.int()
	r.submitted, r.finished = r.fromHeard(d.int()), r.fromHeard(d.int())
	r.records, r.failed = d.int(), d.int()
	rest := d.text(4)
	if d.failed || int(rest[0]) >= len(order) || int(rest[2]) >= len(results) {
		d.fail()
		return record{}, ""
	}
	r.state, r.told, r.result, r.errors = rest[0], rest[1], rest[2], rest[3] != 0
	return r, id
}

func (d *decoder) word() uint32 {
	n := d.uint()
	if n > math.MaxUint32-1 {
		d.fail()
	}
	d.highest = max(d.highest, uint32(n))
	return uint32(n)
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.data)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) string() string {
	n := d.uint()
	if n > uint64(len(d.data)) {
		d.fail()
		return ""
	}
	return d.text(int(n))
}

func (d *decoder) text(n int) string {
	if n > len(d.data) {
		d.fail()
		return ""
	}
	s := string(d.data[:n])
	d.data = d.data[n:]
	return s
}

func (d *decoder) fail() { d.failed, d.data = true, nil }
