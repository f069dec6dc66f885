package jobs

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"sync"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// step is a step through the events, with what filters go by.
type step struct {
	api.Followed
	source string
	kind   job.Kind
	result job.Result
	from   uint64 // of a gap
}

func lost(from, to uint64) api.Followed {
	return api.Followed{Sequence: to, Name: api.GapName, Data: inJSON(api.Gap{From: from, To: to})}
}

func stepOf(t publish.Tailed) step {
	if t.Foreign {
		return step{Followed: api.Followed{Sequence: t.Sequence}}
	}
	event := api.NewEvent(t.Stored)
	if t.Large {
		event.BodyMissing = api.EventBodyMissingLarge
	}
	return step{
		Followed: api.Followed{Sequence: t.Sequence, Name: string(t.Kind), Data: inJSON(event)}, source: t.Source, kind: t.Kind, result: t.Job.Result,
	}
}

// inJSON returns a value of the contract in JSON, on one line.
func inJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // all of it was read from JSON, or is text
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// window has the newest steps, for all readers. One who is behind it reads the stream until it has
// come up to it.
type window struct {
	mu    sync.Mutex
	begin uint64 // it has what follows
	steps []step // in order
	size  int    // of their data
	grown chan struct{}
	ended bool
}

// The most that a window holds.
const (
	windowSteps = 1024
	windowSize  = 4 << 20
)

func newWindow(begin uint64) *window { return &window{begin: begin, grown: make(chan struct{})} }

// add adds the next step, and drops the oldest ones that there is no room for.
func (w *window) add(s step) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps, w.size = append(w.steps, s), w.size+len(s.Data)
	for len(w.steps) > windowSteps || w.size > windowSize {
		w.begin, w.size = w.steps[0].Sequence, w.size-len(w.steps[0].Data)
		w.steps[0], w.steps = step{}, w.steps[1:] // its data is not kept
	}
	close(w.grown)
	w.grown = make(chan struct{})
}

// end says that nothing more will come.
func (w *window) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	close(w.grown)
	w.grown = nil
}

func (w *window) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// has reports whether all that follows a sequence is in the window, or will be.
func (w *window) has(at uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return at >= w.begin
}

// windowTake is how many bytes a reader takes at once, but for the last step: so many it holds.
const windowTake = 64 << 10

// after returns steps that follow a sequence; there is false if the window begins behind it. Grown
// is closed when there are more, and nil if there will be none.
func (w *window) after(at uint64) (steps []step, there bool, grown <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at < w.begin {
		return nil, false, nil
	}
	i := sort.Search(len(w.steps), func(i int) bool { return w.steps[i].Sequence > at })
	n, size := i, 0
	for ; n < len(w.steps) && size < windowTake; n++ {
		size += len(w.steps[n].Data)
	}
	return slices.Clone(w.steps[i:n]), true, w.grown
}
