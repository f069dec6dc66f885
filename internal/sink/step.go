package sink

import (
	"context"
	"math/rand/v2"
	"time"

	"receiver/internal/job"
)

// step does the next thing on a lane: it stores which events wait behind one that was not
// accepted, or posts one. A step that has begun is finished also when ctx ends.
func (x *session) step(ctx context.Context, l *lane, queue []job.Handed) error {
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil
	}
	whole := context.WithoutCancel(ctx)
	switch {
	case len(queue) == 0:
		return x.again(ctx, whole, l)
	case l.record == nil:
		return x.first(ctx, whole, l, queue[0])
	}
	d := *l.record
	d.Last = max(d.Last, queue[len(queue)-1].Sequence)
	if err := x.put(whole, l, d); err != nil || l.record == nil || l.record.Last < d.Last {
		return err // somebody else was faster: the next step sees
	}
	return x.finish(l, queue)
}

// first posts an event that was handed out.
func (x *session) first(ctx, whole context.Context, l *lane, h job.Handed) error {
	r, posted, err := x.try(ctx, whole, h.Subject, h.Sequence)
	if err != nil || !posted {
		return err
	}
	if r != nil {
		now := time.Now()
		d := job.Delivery{Sink: x.sink.Name, Job: l.job, Next: h.Sequence, Last: h.Sequence, Since: now}
		x.refused(&d, r, now)
		if err := x.put(whole, l, d); err != nil || l.record == nil || l.record.Last < h.Sequence {
			return err
		}
	}
	return x.finish(l, []job.Handed{h})
}

// again posts an event that was not accepted before.
func (x *session) again(ctx, whole context.Context, l *lane) error {
	d := *l.record
	r, posted, err := x.try(ctx, whole, pattern(l.job), d.Next)
	switch {
	case err != nil || !posted:
		return err
	case r == nil:
		return x.advance(whole, l)
	}
	x.refused(&d, r, time.Now())
	if d.Tries <= len(x.limits.pauses) {
		return x.put(whole, l, d)
	}
	lost := job.Delivery{
		Sink: d.Sink, Job: d.Job, Next: d.Next, Last: d.Next, Tries: d.Tries, Since: d.Since, Error: d.Error, GivenUp: true,
	}
	if _, _, err := x.o.Store.PutDelivery(whole, lost); err != nil {
		return err
	}
	source, id := d.Source()
	x.o.Count(x.sink.Name, "given_up")
	x.o.Log.Error().Str("sink", x.sink.Name).Str("source", source).Str("job", id).Uint64("sequence", d.Next).Int("tries", d.Tries).Str("reason", d.Error).
		Msg("a sink did not accept an event for days; it is given up until receiver sinks replay")
	return x.advance(whole, l)
}

// advance goes on with the next event of a job, or ends the trouble with it.
func (x *session) advance(ctx context.Context, l *lane) error {
	d := *l.record
	for from := d.Next + 1; from <= d.Last; {
		e, found, err := x.o.Store.EventFrom(ctx, pattern(l.job), from)
		if err != nil {
			return err
		}
		if !found || e.Sequence > d.Last {
			break
		}
		if x.sink.wants(e.Subject) {
			d.Next, d.Tries, d.Since, d.Due, d.Error = e.Sequence, 0, time.Now(), time.Time{}, ""
			return x.put(ctx, l, d)
		}
		from = e.Sequence + 1
	}
	return x.remove(ctx, l)
}

// try posts the event of a sequence. It reports false if that was cut short. An event that is not
// in JOBS any more, or is no event, counts as accepted.
func (x *session) try(ctx, whole context.Context, subject string, sequence uint64) (r *refusal, posted bool, err error) {
	e, found, err := x.o.Store.EventFrom(whole, subject, sequence)
	if err != nil {
		return nil, false, err
	}
	if !found || e.Sequence != sequence {
		x.o.Count(x.sink.Name, "gone")
		x.o.Log.Error().Str("sink", x.sink.Name).Str("subject", subject).Uint64("sequence", sequence).
			Msg("an event left JOBS before a sink accepted it; it is not posted")
		return nil, true, nil
	}
	if r, err = x.post(x.posting, x.sink, e); err != nil {
		x.o.Log.Error().Err(err).Str("subject", e.Subject).Msg("the receiver skipped a message that it did not write")
		return nil, true, nil
	}
	if r != nil && ctx.Err() != nil {
		return nil, false, nil // it may be our end that cut it short
	}
	outcome := "accepted"
	if r != nil {
		outcome = "failed"
	}
	x.o.Count(x.sink.Name, outcome)
	return r, true, nil
}

// refused notes a try in a record, and when the next one is due.
func (x *session) refused(d *job.Delivery, r *refusal, now time.Time) {
	d.Error = r.why
	pause := r.after
	if d.Tries < len(x.limits.pauses) {
		p := x.limits.pauses[d.Tries]
		pause = max(pause, p+time.Duration(rand.Int64N(int64(p)/10+1))) //nolint:gosec // so that replicas of an endpoint are not met by all jobs at once
	}
	d.Tries++
	d.Due = now.Add(pause)
	source, id := d.Source()
	x.o.Log.Warn().Str("sink", x.sink.Name).Str("source", source).Str("job", id).Uint64("sequence", d.Next).Int("tries", d.Tries).Str("reason", d.Error).
		Msg("a sink did not accept an event")
}

// pattern is that of the events of a job.
func pattern(of string) string { return job.JobsPrefix + of + ".*" }

// wants reports whether an event, of a job that the sink had events of, is for the sink.
func (k Sink) wants(subject string) bool {
	_, kind := job.CutKind(subject)
	for _, want := range k.Kinds {
		if want == string(kind) {
			return true
		}
	}
	return len(k.Kinds) == 0
}
