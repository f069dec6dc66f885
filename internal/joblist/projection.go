package joblist

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
)

// Briefs reads JOBS as publish.Store does.
type Briefs interface {
	// Briefs gives the events from a sequence on, in order and in batches, up to the last
	// there is, or, when it follows, until ctx is done. A sequence of zero announces a
	// submission that is being stored.
	Briefs(ctx context.Context, from uint64, follow bool) iter.Seq2[[]job.Brief, error]
}

// Options says what a projection holds.
type Options struct {
	// Briefs must be set.
	Briefs Briefs
	// Snapshots spares the reading of what was read before; nil means that every start
	// begins with the first event.
	Snapshots Snapshots
	// MaxAge leaves out jobs of which nothing was heard for that long: how long the
	// stream keeps events. Zero leaves out none.
	MaxAge time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log zerolog.Logger
}

// Projection lists jobs. It is a cache of the stream JOBS: filled from it, following it,
// and never asked what a single job's state is where that matters; Show in
// package poll reads the stream. It is safe for concurrent use.
type Projection struct {
	o Options
	// maxJobs and snapshotEvery are the constants; tests set others.
	maxJobs       int
	snapshotEvery uint64

	ready chan struct{}
	once  sync.Once

	mu     sync.RWMutex
	words  words
	chunks []*chunk // all of chunkSize but the last
	index  index
	front  int    // position of the first job that is not left out
	out    uint32 // how many chunks were given back
	past   past   // what is known of submitted jobs that were left out
	next   uint64 // the sequence to go on with
	counts map[count]int
	lost   map[uint32]int64 // when a job of each source was last lost, in milliseconds
	watch  map[*follower]struct{}

	current   atomic.Bool       // what comes is being read
	announced map[key]time.Time // submissions that are being stored

	saved   uint64 // next of the last snapshot
	savedAt time.Time
}

const (
	// maxJobs bounds a projection; the jobs that were heard of first are left out of a
	// longer one. So many take about 300 MB.
	maxJobs = 2_000_000
	// snapshotEvery is how many events must have come since the last snapshot for Run to
	// write another one, at most every 10 minutes.
	snapshotEvery = 50_000
)

// key names a job; source is the number of a word.
type key struct {
	source uint32
	id     string
}

// chunkSize is how many records are kept together, so that a growing ledger is never
// copied and the oldest part of a full one can be given back.
const chunkSize = 1 << 13

// NewProjection returns an empty projection. Fill fills it once, Run for ever.
func NewProjection(o Options) *Projection {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Projection{
		o: o, maxJobs: maxJobs, snapshotEvery: snapshotEvery, ready: make(chan struct{}), words: newWords(), next: 1,
		index: newIndex(), counts: map[count]int{}, lost: map[uint32]int64{}, watch: map[*follower]struct{}{}, announced: map[key]time.Time{},
	}
}

// Fill reads what is in the stream and is not in the projection yet.
func (p *Projection) Fill(ctx context.Context) error {
	if p.o.Snapshots != nil && p.Len() == 0 {
		if err := p.load(ctx); err != nil && ctx.Err() == nil {
			p.o.Log.Warn().Err(err).Msg("reading the snapshot of the job list failed; the receiver reads the whole stream, which takes longer")
		}
	}
	if err := p.read(ctx, false); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("filling the projection: %w", err)
	}
	p.once.Do(func() { close(p.ready) })
	return nil
}

// Run fills the projection and follows the stream until ctx is done. It logs errors and tries
// again.
func (p *Projection) Run(ctx context.Context) {
	for {
		err := p.Fill(ctx)
		if err == nil {
			p.current.Store(true)
			err = p.follow(ctx)
			p.current.Store(false)
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, job.ErrChanged) {
			p.reset()
		}
		p.o.Log.Warn().Err(err).Msg("reading the stream failed and is tried again; the job list may be out of date")
		select {
		case <-ctx.Done():
			return
		case <-time.After(readPause):
		}
	}
}

// readPause is how long the stream is left alone after reading it failed.
const readPause = time.Second

// reset empties it, to be filled from the first event there is. Positions count on, as they do
// over jobs that are left out.
func (p *Projection) reset() {
	fresh := NewProjection(p.o)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = uint32((p.end() + chunkSize - 1) / chunkSize)
	p.front, p.chunks = int(p.out)*chunkSize, nil
	p.words, p.index, p.counts, p.lost, p.past, p.next = fresh.words, fresh.index, fresh.counts, fresh.lost, fresh.past, fresh.next
	p.announced, p.saved = fresh.announced, 0
}

// follow reads what comes, and writes snapshots from time to time.
func (p *Projection) follow(ctx context.Context) error {
	if p.o.Snapshots == nil {
		return p.read(ctx, true)
	}
	reading, stop := context.WithCancel(ctx)
	var saving sync.WaitGroup
	saving.Go(func() { p.keepSaving(reading) })
	err := p.read(ctx, true)
	stop()
	saving.Wait()
	return err
}

// saveTick is how often it is looked whether a snapshot is due.
const saveTick = time.Minute

func (p *Projection) keepSaving(ctx context.Context) {
	tick := time.NewTicker(saveTick)
	defer tick.Stop()
	for {
		if err := p.save(ctx); err != nil && ctx.Err() == nil {
			p.o.Log.Warn().Err(err).Msg("writing the snapshot of the job list failed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Ready is closed as soon as the projection holds what was in the stream when Fill or Run
// was called. Until then it is of use, but not whole.
func (p *Projection) Ready() <-chan struct{} { return p.ready }

func (p *Projection) read(ctx context.Context, follow bool) error {
	p.mu.RLock()
	from := p.next
	p.mu.RUnlock()
	for batch, err := range p.o.Briefs.Briefs(ctx, from, follow) {
		if err != nil {
			return err
		}
		p.Add(batch)
	}
	return nil
}

// Add takes in events, in the order of the stream. Those that it has already are left
// out.
func (p *Projection) Add(batch []job.Brief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range batch {
		if e.Sequence == 0 {
			p.announce(e)
		}
		if e.Sequence < p.next {
			continue
		}
		p.next = e.Sequence + 1
		p.add(e)
	}
	p.leaveOut()
}

// announcedFor is how long an announcement is kept at least of which nothing more is heard.
const announcedFor = time.Minute

// announce notes a submission, unless it repeats one that is known: of it nothing more is
// heard, and a backfill that is run again announces as many as there are jobs.
func (p *Projection) announce(e job.Brief) {
	if p.submitted(e.Source, e.ID) {
		return
	}
	now := p.o.Now()
	maps.DeleteFunc(p.announced, func(_ key, at time.Time) bool { return now.Sub(at) > announcedFor })
	p.announced[key{p.words.number(e.Source), strings.Clone(e.ID)}] = now
}

func (p *Projection) add(e job.Brief) {
	k := key{p.words.number(e.Source), e.ID}
	if e.Kind == job.Submitted {
		delete(p.announced, k)
	}
	position, there := p.index.find(k, p.at)
	if !there {
		position = p.append(record{source: k.source}, e.ID)
		p.index.put(k, position)
	}
	r := p.at(int(position))
	if there {
		p.count(r.record, -1)
	}
	r.add(e, &p.words)
	p.count(r.record, +1)
	for f := range p.watch {
		f.changed(position)
	}
}

// append returns the position of the new record. Positions count on over chunks that
// were given back.
func (p *Projection) append(r record, id string) uint32 {
	if n := len(p.chunks); n == 0 {
		p.chunks = append(p.chunks, newChunk(nil))
	} else if last := p.chunks[n-1]; len(last.records) == chunkSize {
		p.chunks = append(p.chunks, newChunk(last.ids))
	}
	p.chunks[len(p.chunks)-1].append(r, id)
	return uint32(p.end() - 1)
}

// at returns the record at a position between front and end.
func (p *Projection) at(position int) row {
	return p.chunks[position/chunkSize-int(p.out)].at(position % chunkSize)
}

// end is the position after the last record.
func (p *Projection) end() int {
	n := len(p.chunks)
	if n == 0 {
		return int(p.out) * chunkSize
	}
	return (int(p.out)+n-1)*chunkSize + len(p.chunks[n-1].records)
}

// leaveOut drops the jobs that were heard of first while there are too many, or while
// nothing has been heard of them for too long.
func (p *Projection) leaveOut() {
	oldest := int64(0)
	if p.o.MaxAge > 0 {
		oldest = p.o.Now().Add(-p.o.MaxAge).UnixMilli()
	}
	for end := p.end(); p.front < end; p.front++ {
		r := p.at(p.front)
		tooOld := r.changed < oldest
		if end-p.front <= p.maxJobs && !tooOld {
			break
		}
		k := r.key()
		if r.submitted != 0 && !tooOld { // then the stream still tells of it
			p.past.add(p.words.names[r.source], k.id)
		}
		p.count(r.record, -1)
		p.index.remove(k, uint32(p.front))
	}
	for len(p.chunks) > 1 && p.front >= int(p.out+1)*chunkSize {
		p.chunks[0] = nil
		p.chunks = p.chunks[1:]
		p.out++
	}
}

// Known reports whether the projection knows that a job was submitted here, and whether it
// is current: then false means that nothing has told so; otherwise false means nothing.
func (p *Projection) Known(source, id string) (submitted, current bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	submitted = p.submitted(source, id)
	_, announced := p.announced[key{p.words.numbers[source], id}]
	return submitted, p.current.Load() && (submitted || !announced && !p.past.mayHave(source, id))
}

func (p *Projection) submitted(source, id string) bool {
	number, ok := p.words.numbers[source]
	if !ok {
		return false
	}
	position, ok := p.index.find(key{number, id}, p.at)
	return ok && p.at(int(position)).submitted != 0
}
