package joblist

import (
	"cmp"
	"slices"
	"time"

	"receiver/internal/job"
)

type count struct {
	source        uint32
	state, result uint8
}

func (p *Projection) count(r *record, by int) {
	c := count{r.source, r.state, r.result}
	if p.counts[c] += by; p.counts[c] == 0 {
		delete(p.counts, c)
	}
	if by > 0 && order[r.state] == Lost {
		p.lost[r.source] = max(p.lost[r.source], r.changed)
	}
}

// Counts returns how many jobs of each source are in each state.
func (p *Projection) Counts() map[string]map[State]int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := map[string]map[State]int{}
	for c, n := range p.counts {
		source := p.words.names[c.source]
		if all[source] == nil {
			all[source] = map[State]int{}
		}
		all[source][order[c.state]] += n
	}
	return all
}

// Tally is how many jobs of a source have one state and one result.
type Tally struct {
	Source string     `json:"source"`
	State  State      `json:"state"`
	Result job.Result `json:"result,omitempty"`
	Jobs   int        `json:"jobs"`
}

// Tallies counts all jobs, without going through them.
type Tallies struct {
	// Counts are in the order of source, state and result.
	Counts []Tally `json:"counts"`
	// Complete and Last are as those of a Page.
	Complete bool   `json:"complete"`
	Last     uint64 `json:"last"`
}

// Tallies returns the counts of all jobs.
func (p *Projection) Tallies() Tallies {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := Tallies{Counts: make([]Tally, 0, len(p.counts)), Complete: p.complete(), Last: p.next - 1}
	for c, n := range p.counts {
		all.Counts = append(all.Counts, Tally{p.words.names[c.source], order[c.state], results[c.result], n})
	}
	slices.SortFunc(all.Counts, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(rank(a.State), rank(b.State)), cmp.Compare(slices.Index(results, a.Result), slices.Index(results, b.Result)))
	})
	return all
}

// complete reports whether the projection is ready.
func (p *Projection) complete() bool {
	select {
	case <-p.ready:
		return true
	default:
		return false
	}
}

// LastLost returns when a job of each source was last lost, but for those of which none was.
func (p *Projection) LastLost() map[string]time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make(map[string]time.Time, len(p.lost))
	for source, at := range p.lost {
		all[p.words.names[source]] = time.UnixMilli(at)
	}
	return all
}

// LastCallbacks returns when the newest of the callbacks came that ended a job, by source. It looks
// at all jobs.
func (p *Projection) LastCallbacks() map[string]time.Time {
	p.mu.RLock()
	defer p.mu.RUnlock()
	newest := map[uint32]int64{}
	by := p.words.numbers[string(job.ByCallback)]
	for i := p.front; i < p.end(); i++ {
		if r := p.at(i); by != 0 && r.evidence == by {
			newest[r.source] = max(newest[r.source], r.finished)
		}
	}
	all := make(map[string]time.Time, len(newest))
	for source, at := range newest {
		all[p.words.names[source]] = time.UnixMilli(at)
	}
	return all
}

// Len returns how many jobs the projection holds.
func (p *Projection) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.end() - p.front
}
