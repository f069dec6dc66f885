package bench

import (
	"context"
	"fmt"
	"strings"
)

// Lane is one thing that is measured in turn with others.
type Lane struct {
	// Name says what serves, such as `receiver`; Store where it stores, such as `external`, or
	// nothing.
	Name  string `json:"lane"`
	Store string `json:"store"`
	// Run starts it afresh, measures it once, and takes it down.
	Run func(ctx context.Context) (Sample, error) `json:"-"`
}

// String names the lane with its store.
func (l Lane) String() string { return strings.TrimSuffix(l.Name+", "+l.Store, ", ") }

// Sample is one measurement of a lane.
type Sample struct {
	Result
	Cost
}

// Target is what one lane should reach of another, measured in the same turn.
type Target struct {
	// Of and To are lanes by their place.
	Of, To int
	// Figure is what is compared.
	Figure Figure
	// Goal is the ratio to reach: at least for a rate, at most for everything else. Zero
	// means that there is none, and the ratio is for information.
	Goal float64
}

// Figure is what is compared of two lanes.
type Figure string

// The figures that are compared.
const (
	ByRate Figure = "requests/s"
	ByP99  Figure = "p99"
	ByCPU  Figure = "CPU"
)

func (f Figure) of(s Sample) float64 {
	switch f {
	case ByP99:
		return s.Latency.P99
	case ByCPU:
		return s.CPU + s.Servers
	default:
		return s.Rate
	}
}

// Alternate measures every lane so many times, in turns, every other time in the opposite
// order, so that what changes slowly on the machine changes for all. Tell, which may be
// nil, hears of each measurement. If ctx ends, the report is of the alternations that were
// whole until then, and the error is that of ctx; any other error means that there is no
// report.
func Alternate(ctx context.Context, lanes []Lane, targets []Target, times int, tell func(time int, l Lane, s Sample)) (Report, error) {
	samples := make([][]Sample, len(lanes))
	var ended error
	for n := 0; n < times && ended == nil; n++ {
		turn, err := once(ctx, lanes, n%2 == 1, func(l Lane, s Sample) {
			if tell != nil {
				tell(n, l, s)
			}
		})
		switch ended = ctx.Err(); {
		case ended != nil: // what is half done is not told
		case err != nil:
			return Report{}, err
		default:
			for i, s := range turn {
				samples[i] = append(samples[i], s)
			}
		}
	}
	return report(lanes, targets, samples, times), ended
}

// once measures every lane once.
func once(ctx context.Context, lanes []Lane, backwards bool, tell func(Lane, Sample)) ([]Sample, error) {
	turn := make([]Sample, len(lanes))
	for i := range lanes {
		if backwards {
			i = len(lanes) - 1 - i
		}
		s, err := lanes[i].Run(ctx)
		if err == nil && (s.Unexpected > 0 || s.Failed > 0) {
			err = fmt.Errorf("%d answers were unexpected and %d did not arrive: %v", s.Unexpected, s.Failed, s.Answers)
		}
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", lanes[i], err)
		}
		turn[i] = s
		tell(lanes[i], s)
	}
	return turn, nil
}
