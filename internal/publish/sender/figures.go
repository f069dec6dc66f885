package sender

import "time"

// Figures receive how messages are stored. Both functions must be set; nil figures count nothing.
type Figures struct {
	// Published is called for each message, with the time that it took and the outcome:
	// acknowledged, exists if its condition failed, or failed.
	Published func(took time.Duration, outcome string)
	// Batch is called for each atomic batch that was stored, with the number of its messages.
	Batch func(messages int)
}

// Done is called when a message that was to be stored since a time has its answer.
func (f *Figures) Done(since time.Time, err *error) {
	switch {
	case f == nil:
	case *err == nil:
		f.Published(time.Since(since), "acknowledged")
	case Taken(*err):
		f.Published(time.Since(since), "exists")
	default:
		f.Published(time.Since(since), "failed")
	}
}

// Stored is called when a batch is.
func (f *Figures) Stored(messages int) {
	if f != nil {
		f.Batch(messages)
	}
}
