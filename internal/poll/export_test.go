package poll

import "time"

// Limit sets limits of a watcher other than the constants; zero leaves one as it is.
func (w *Watcher) Limit(l Limits) {
	if l.Workers > 0 {
		w.workers = l.Workers
	}
	if l.PerSource > 0 {
		w.asking.limit, w.confirming.limit = l.PerSource, l.PerSource
	}
	if l.ConfirmTimeout > 0 {
		w.confirmTimeout = l.ConfirmTimeout
	}
	if l.MaxErrors > 0 {
		w.maxErrors = l.MaxErrors
	}
}

// Limits are what production has as constants.
type Limits struct {
	Workers, PerSource, MaxErrors int
	ConfirmTimeout                time.Duration
}
