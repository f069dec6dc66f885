package poll

import (
	"context"
	"errors"
	"time"

	"receiver/internal/job"
)

// Confirm says which callbacks are held against what the platform itself says.
type Confirm string

// The ways to confirm. Reading back costs a call for each job while the platform waits
// for the answer to its callback; it finds out a stolen signature key, and a callback
// that is wrong.
const (
	// ConfirmNever takes the signed word as it is.
	ConfirmNever Confirm = "never"
	// ConfirmUnsigned reads back when what decides on the result is not in the signed
	// body: a job that ran to its end, without the number of rows that failed, or with words
	// that cannot be read as one meaning.
	ConfirmUnsigned Confirm = "unsigned-fields"
	// ConfirmAlways reads back every end of a job.
	ConfirmAlways Confirm = "always"
)

func (c Confirm) asks(told job.View) bool {
	switch c {
	case ConfirmAlways:
		return true
	case ConfirmUnsigned:
		class := told.Class()
		return told.Result == job.Undecided || told.Failed == nil && (class == job.Success || class == job.Warning)
	}
	return false
}

// Confirm returns a func that reports whether the platform says the same of the end of
// a job as a callback told; nil if that is never asked. An end that is known already is
// not asked about: whatever the platform says now, the callback repeats it. When the
// platform says something else, is slow or cannot be asked, or is being asked as often as
// it may, the func has the job watched, beginning at once, and reports false: its end
// comes by the watch. An error is that of the store.
func (w *Watcher) Confirm(source string, c Confirm) func(context.Context, job.View) (bool, error) {
	if c == "" || c == ConfirmNever {
		return nil
	}
	return func(ctx context.Context, told job.View) (bool, error) {
		if !c.asks(told) {
			return true, nil
		}
		if known, err := w.o.Store.HasOutcome(ctx, source, told); known || err != nil {
			return known, err
		}
		if w.unconfirmed.has(source, told, w.o.Now()) {
			w.o.Count("confirm", source, "repeated")
			return false, nil
		}
		outcome, says, err := w.compare(ctx, source, told)
		w.o.Count("confirm", source, outcome)
		if outcome == "confirmed" {
			return true, nil
		}
		w.o.Log.Warn().Err(err).Str("source", source).Str("job", told.ID).Str("job_status", told.Status).Str("platform_status", says).
			Msg("the platform did not confirm a callback; the receiver polls the job")
		if err := w.PollNow(ctx, source, told.ID); err != nil {
			return false, err
		}
		w.unconfirmed.add(source, told, w.o.Now())
		return false, nil
	}
}

// errBusy is why the platform was not asked.
var errBusy = errors.New("too many callbacks of the source are being confirmed at once")

// compare asks the platform after a job, and returns in one word how its answer compares
// with what a callback told, and its status.
func (w *Watcher) compare(ctx context.Context, source string, told job.View) (outcome, says string, err error) {
	most := w.confirmTimeout
	if end, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(end)/2)
	}
	until := time.Now().Add(most)
	if !w.confirming.acquire(source, most) {
		return "busy", "", errBusy
	}
	defer w.confirming.release(source)
	a, err := w.ask(ctx, source, told.ID, time.Until(until))
	switch {
	case err != nil:
		return "unanswered", "", err
	case !a.view.SameOutcome(told):
		return "different", a.view.Status, nil
	}
	return "confirmed", a.view.Status, nil
}

// Expected returns a func that reports whether any event says that a job of a source was submitted
// here. If the answer only marks an event, it comes from memory: a callback can overtake the answer
// to its submission in any case. If the answer decides, because it quarantines a callback, the
// store is asked.
func (w *Watcher) Expected(source string) func(context.Context, string) (bool, error) {
	return func(ctx context.Context, id string) (bool, error) {
		submitted, current := w.o.Known(source, id)
		if submitted || current && !w.o.Quarantine(source) {
			return submitted, nil
		}
		return w.o.Store.Has(ctx, source, id, job.Submitted)
	}
}
