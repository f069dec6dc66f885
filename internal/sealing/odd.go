package sealing

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
)

// maxOdd is how many odd records of one log are logged a minute; all are counted.
const maxOdd = 20

// odd reports records that are sealed though something is wrong with them.
type odd struct {
	log    zerolog.Logger
	stream string

	mu    sync.Mutex
	count int // since take
	since time.Time
	said  int // since then
}

// see logs and counts one.
func (o *odd) see(f audit.Fault) {
	if !o.add(time.Now()) {
		return
	}
	line := o.log.Error().Str("stream", f.Stream).Uint64("sequence", f.Seq).Str("why", f.Detail)
	if f.Kind == audit.Gone {
		line.Msg("records were removed before they were sealed; run receiver audit verify and find the cause")
		return
	}
	line.Msg("a record was sealed whose times contradict each other; run receiver audit verify and find the cause")
}

// add counts one, and reports whether it is to be logged.
func (o *odd) add(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	if now.Sub(o.since) >= alarmPause {
		o.since, o.said = now, 0
	}
	o.said++
	return o.said <= maxOdd
}

// take returns how many there were since the last call.
func (o *odd) take() (n int) {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	n, o.count = o.count, 0
	return n
}
