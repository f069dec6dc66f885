package auditlog

import "time"

// expiryGrace is how much earlier than their age says records may be gone: clocks differ,
// and a checkpoint is a moment younger than what it seals.
const expiryGrace = time.Minute

// sizeMargin is how much less than its bound a stream may take that has dropped its oldest
// records for it: that of one large message.
const sizeMargin = 16 << 20

// Limits are what pushes the oldest records out of a stream; 0 means that nothing does.
type Limits struct {
	MaxAge   time.Duration
	MaxBytes uint64
}

// ExpectedFrom returns the first sequence whose record must be there, of a stream of so many bytes
// that begins at first: what age or size has pushed out is not missed. Both push out the oldest
// only, so whatever is behind the first record that is there has not gone by them. Any other
// missing record was removed. SealedBefore returns how many leaves the log had at a moment.
func (l Limits) ExpectedFrom(first, bytes uint64, sealedBefore func(time.Time) int64, now time.Time) uint64 {
	from := uint64(1)
	if l.MaxAge > 0 {
		from = uint64(sealedBefore(now.Add(expiryGrace-l.MaxAge))) + 1
	}
	if l.Full(bytes) {
		from = max(from, first)
	}
	return min(from, first)
}

// Full reports whether a stream of so many bytes may have dropped its oldest records for its size.
func (l Limits) Full(bytes uint64) bool { return l.MaxBytes > 0 && bytes+sizeMargin > l.MaxBytes }
