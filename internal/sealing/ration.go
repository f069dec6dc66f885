package sealing

import "time"

// A checkpoint is kept for ever, at each place that keeps them, and takes more space there than the
// hashes of a few records. So a log that unauthenticated senders can fill gets one checkpoint per
// interval only at first; then one for so many leaves, or so much time. A sender of a few requests
// a minute causes few checkpoints, and each record is sealed after that time at the latest.
const (
	rationSpare  = 600         // checkpoints that may come at the interval
	rationLeaves = 64          // in the tiles, for one more
	rationTime   = time.Minute // for one more
)

// ration is how many checkpoints may be made.
type ration struct {
	left float64
	at   time.Time
}

// allows reports whether there may be one now that seals so many leaves.
func (r *ration) allows(leaves int64) bool {
	now := time.Now()
	if r.at.IsZero() {
		r.left = rationSpare
	}
	r.left = min(r.left+float64(now.Sub(r.at))/float64(rationTime), rationSpare)
	r.at = now
	return r.left+float64(leaves)/rationLeaves >= 1
}

// spend takes note of one that sealed so many leaves.
func (r *ration) spend(leaves int64) {
	if leaves > 0 {
		r.left = min(r.left+float64(leaves)/rationLeaves-1, rationSpare)
	}
}
