package submission

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"receiver/internal/job"
)

// The pauses between two questions for one open submission: a quarter of its age within these.
const minPause, maxPause = 5 * time.Second, 5 * time.Minute

// Adopt finds out what became of the submissions that are left open: those whose process has died
// and those whose answer was lost. Follow gives all records and then those that are changed, until
// ctx is done or it cannot; then it is called again, and failed hears the error.
//
// Several processes may do it at once: a record is changed by the first.
func (s *Submitter) Adopt(ctx context.Context, follow func(context.Context, func(job.Submission)) error, failed func(error)) {
	var left open
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() {
		for ctx.Err() == nil {
			if err := follow(ctx, left.note); err != nil && ctx.Err() == nil {
				failed(err)
			}
			pause(ctx, minPause)
		}
	})
	for pause(ctx, minPause) {
		for source, due := range left.due() {
			if !left.begin(source) {
				continue // its platform is slow, which must not delay those of others
			}
			following.Go(func() {
				defer left.end(source)
				for _, r := range due {
					is, err := s.Resolve(ctx, r)
					if ctx.Err() != nil {
						return
					}
					if err != nil {
						failed(err)
					}
					left.asked(r, is)
				}
			})
		}
	}
}

// pause waits, and reports false when ctx is done.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// open are the open submissions.
type open struct {
	mu     sync.Mutex
	all    map[string]*waiting
	asking map[string]bool // by source
}

// waiting is one of them, and when to ask for it next.
type waiting struct {
	job.Submission
	next time.Time
}

func at(r job.Submission) string { return r.Source + "." + r.Name }

// note notes a record.
func (o *open) note(r job.Submission) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if was, there := o.all[at(r)]; there && was.Sequence >= r.Sequence {
		return
	}
	if !r.Open() {
		delete(o.all, at(r))
		return
	}
	if o.all == nil {
		o.all = map[string]*waiting{}
	}
	o.all[at(r)] = &waiting{r, r.Lease}
}

// due returns those that it is time to ask for, by source, the oldest first.
func (o *open) due() map[string][]job.Submission {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string][]job.Submission{}
	for w := range maps.Values(o.all) {
		if now().After(w.next) {
			all[w.Source] = append(all[w.Source], w.Submission)
		}
	}
	for _, due := range all {
		slices.SortFunc(due, func(a, b job.Submission) int { return a.Begun.Compare(b.Begun) })
	}
	return all
}

// begin reports whether a source is not being asked; then it is until end.
func (o *open) begin(source string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asking[source] {
		return false
	}
	if o.asking == nil {
		o.asking = map[string]bool{}
	}
	o.asking[source] = true
	return true
}

func (o *open) end(source string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.asking, source)
}

// asked notes that it was asked for one, and what it is now.
func (o *open) asked(r, is job.Submission) {
	o.note(is)
	o.mu.Lock()
	defer o.mu.Unlock()
	if w, there := o.all[at(r)]; there {
		w.next = now().Add(min(max(now().Sub(w.Begun)/4, minPause), maxPause))
	}
}
