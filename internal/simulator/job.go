package simulator

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"
)

// order is what a POST asks for.
type order struct {
	object, direction, format string
	callback                  string   // notification address as given, "" when none was
	target                    *url.URL // of callback, nil when there is nothing to call
	meta                      metaData
	rows                      content
}

// job is one bulk job. Platform.mu guards the changing fields.
type job struct {
	order
	id      string
	payload json.RawMessage
	faults  Faults
	style   style

	status    string
	created   time.Time
	finished  time.Time // zero until the end
	cancel    chan struct{}
	cancelled bool
	left      []Answer      // what faults.HTTP still has to answer
	called    chan struct{} // closed when the callback at the end was tried, or none was due
}

// style holds the free choices that stay the same for one job.
type style struct {
	numericID   bool // ids are JSON numbers
	payloadSpot int  // where callback-payload comes back
	errorTexts  bool // GET errors lists strings, not objects
	resultShape int  // of application/json: lines or array
	instanceKey int  // instanceId, instance_id or neither in the creation answer
	epochTimes  bool // times as milliseconds
	webhookOnce bool // one Elements-Webhook-Id for all attempts of a callback
	chunked     bool // callbacks come without a Content-Length
}

// faultsFor settles the dials of one job: its own, or drawn ones, over the platform's.
func (p *Platform) faultsFor(m metaData) Faults {
	if m.simulate != nil {
		return m.simulate.over(p.o.Faults)
	}
	p.mu.Lock()
	p.draws++
	n := p.draws
	p.mu.Unlock()
	return p.o.Faults.draw(p.o.Seed, n).over(p.o.Faults)
}

// enter makes the job in the state CREATED.
func (p *Platform) enter(o order, f Faults) *job {
	dice := p.dice()
	o.rows.fail(f.Failed)
	j := &job{
		order: o, payload: o.meta.payload, faults: f, status: "CREATED", created: time.Now(), left: f.HTTP,
		cancel: make(chan struct{}), called: make(chan struct{}),
		style: style{
			numericID: dice.IntN(2) == 0, payloadSpot: dice.IntN(3), errorTexts: dice.IntN(2) == 0,
			resultShape: dice.IntN(2), instanceKey: dice.IntN(3), epochTimes: dice.IntN(2) == 0,
			webhookOnce: dice.IntN(2) == 0, chunked: dice.IntN(4) == 0,
		},
	}
	if f.ID != "" {
		j.style.numericID = f.ID != "string"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID += 1 + dice.Int64N(9)
	j.id = strconv.FormatInt(p.lastID, 10)
	if f.ID == "big" {
		// Odd and beyond 2^53: a client that reads it as a float64 polls for another job.
		j.id = strconv.FormatInt(1<<53+2*p.lastID+1, 10)
	}
	p.jobs[j.id], p.order = j, append(p.order, j)
	p.count(func(s *Stats) { s.Jobs++ })
	p.o.Log.Info().Str("job", j.id).Str("object", j.object).Int("records", j.rows.records).
		Str("faults", f.String()).Msg("job made")
	return j
}

// done reports whether the job has reached its end. The caller holds Platform.mu.
func (j *job) done() bool { return !j.finished.IsZero() }

// run takes the job from CREATED to its end within d and sees to its callbacks. OC: (a) row 11
func (p *Platform) run(ctx context.Context, j *job, d time.Duration) {
	if j.pass(ctx, d/4) && p.move(j, "STARTED") && j.pass(ctx, d/4) && p.move(j, "RUNNING") {
		p.progress(ctx, j)
		j.pass(ctx, d/2)
	}
	select {
	case <-j.cancel:
		sleep(ctx, d/8)
	default:
	}
	if ctx.Err() == nil {
		p.finish(ctx, j)
	}
}

// pass lets time go by and reports whether the job still runs.
func (j *job) pass(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-j.cancel:
	case <-ctx.Done():
	}
	return false
}

// move sets a status on the way and reports whether the job was still to have it.
func (p *Platform) move(j *job, status string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !j.cancelled {
		j.status = status
	}
	return !j.cancelled
}

// cancelJob asks a job that has not ended to end. OC: (a) row 17
func (p *Platform) cancelJob(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.done() || j.cancelled {
		return
	}
	j.cancelled, j.status = true, "CANCELLATION_PENDING"
	close(j.cancel)
}

// progress sends the callback of a running job, once, and waits until it was tried: the one at the
// end shall not overtake it.
func (p *Platform) progress(ctx context.Context, j *job) {
	status := word(j.faults.Progress)
	if status == "" || j.target == nil {
		return
	}
	p.mu.Lock()
	d := p.newDelivery(j, status)
	p.mu.Unlock()
	p.life.start(func(ctx context.Context) { p.deliver(ctx, d, 0) })
	d.awaitTry(ctx)
}

// finish ends the job and sends what is due at its end. The end and the callbacks it makes due
// become visible at once, so that a quiet platform is really quiet.
func (p *Platform) finish(ctx context.Context, j *job) {
	p.mu.Lock()
	j.status, j.finished = j.final(), time.Now()
	due := p.due(j)
	p.count(func(s *Stats) { s.Finished++ })
	p.mu.Unlock()
	defer close(j.called)
	var wait time.Duration
	if j.faults.Callback.Mode == "late" {
		wait = p.scaled(j.faults.Callback.Late)
	}
	for _, d := range due {
		p.life.start(func(ctx context.Context) { p.deliver(ctx, d, wait) })
		if d.first {
			d.awaitTry(ctx)
		}
	}
}

// final is the status at the end. The caller holds Platform.mu.
func (j *job) final() string {
	if j.cancelled {
		return "CANCELLED"
	}
	if s := word(j.faults.Status); s != "" {
		return s
	}
	return "COMPLETED"
}

// due makes the callbacks of a job's end. The caller holds Platform.mu.
func (p *Platform) due(j *job) []*delivery {
	if j.target == nil || j.faults.Callback.Mode == "never" {
		return nil
	}
	d := p.newDelivery(j, j.status)
	d.first = j.faults.Callback.Mode == "early"
	all := []*delivery{d}
	for range j.faults.Callback.Times - 1 {
		all = append(all, p.repeat(d))
	}
	if other := word(j.faults.Conflict); other != "" {
		d.first = true // the contradiction comes after what it contradicts
		if other == "other" {
			other = contrary(j.status)
		}
		all = append(all, p.newDelivery(j, other))
	}
	return all
}

// contrary is a final status that says the opposite.
func contrary(status string) string {
	if status == "ABORTED" {
		return "COMPLETED"
	}
	return "ABORTED"
}
