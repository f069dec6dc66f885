package poll_test

import (
	"testing"
	"time"

	"receiver/internal/natstest"
	"receiver/internal/poll"
)

// A replica whose clock is an hour ahead stores a time of the next poll that is in the future of
// all others. The other replicas poll when the pause is over, not an hour later.
func TestClockAheadDelaysNoPoll(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(running, running, completed)
	patient := quick
	patient.Deadline = 24 * time.Hour
	ahead, right := p.options(bus), p.options(bus)
	ahead.Schedule = func(string, string) poll.Schedule { return patient }
	right.Schedule = ahead.Schedule
	ahead.Now = func() time.Time { return time.Now().Add(time.Hour) }
	_, stop := run(t, ahead)
	publishAll(t, bus, submitted("early"))
	if !await(func() bool { w, _, _ := bus.Watched(t.Context(), "demo", "early"); return w.Looks > 0 }) {
		t.Fatal("the job was never asked after")
	}
	stop()
	run(t, right)
	awaitEnd(t, bus, "early")
}

// Each row is a job that was submitted by a clock which was set right since. Questions come by the
// pauses of the plan, and the deadline counts the time that passed between them.
func TestJobSubmittedByAWrongClockIsPolledInTime(t *testing.T) {
	t.Parallel()
	soon := quick
	soon.Deadline, soon.Retention = 60*time.Millisecond, time.Hour
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	for _, tt := range []struct {
		id  string
		off time.Duration
	}{{"a-day-ahead", 24 * time.Hour}, {"a-year-ahead", 365 * 24 * time.Hour}, {"half-an-hour-behind", -30 * time.Minute}} {
		t.Run(tt.id, func(t *testing.T) {
			p := says(running)
			o := p.options(bus)
			o.Schedule = func(string, string) poll.Schedule { return soon }
			_, stop := run(t, o)
			defer stop()
			e := submitted(tt.id)
			e.Time = e.Time.Add(tt.off)
			publishAll(t, bus, e)
			awaitHistory(t, bus, tt.id, "submitted by receiver", "progress by poll", "overdue by receiver")
			asked := p.questions(tt.id)
			natstest.Eventually(t, "another question", func() bool { return p.questions(tt.id) > asked })
		})
	}
}

// The end of a job is not put off either.
func TestAJobSubmittedByAWrongClockIsLostInTime(t *testing.T) {
	t.Parallel()
	soon := quick
	soon.Deadline, soon.Retention = 40*time.Millisecond, 100*time.Millisecond
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	p := says(running)
	o := p.options(bus)
	o.Schedule = func(string, string) poll.Schedule { return soon }
	run(t, o)
	e := submitted("ahead")
	e.Time = e.Time.Add(24 * time.Hour)
	publishAll(t, bus, e)
	awaitHistory(t, bus, "ahead", "submitted by receiver", "progress by poll", "overdue by receiver", "lost by receiver")
	awaitNoWatch(t, bus, "ahead")
}
