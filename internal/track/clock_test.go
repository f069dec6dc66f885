package track_test

import (
	"testing"
	"time"

	"receiver/internal/track"
)

// A replica whose clock is an hour ahead writes down a next question that lies in the future
// of all others. Those ask when the pause is over, not when the hour is.
func TestAClockThatWasAheadHoldsUpNoQuestion(t *testing.T) {
	bus := open(t, start(t))
	p := says(running, running, completed)
	patient := quick
	patient.Deadline = 24 * time.Hour
	ahead, right := p.options(bus), p.options(bus)
	ahead.Plan = func(string, string) track.Plan { return patient }
	right.Plan = ahead.Plan
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
func TestAJobSubmittedByAWrongClockIsAskedAfterInTime(t *testing.T) {
	soon := quick
	soon.Deadline, soon.Retention = 60*time.Millisecond, time.Hour
	bus := open(t, start(t))
	for _, tt := range []struct {
		id  string
		off time.Duration
	}{{"a-day-ahead", 24 * time.Hour}, {"a-year-ahead", 365 * 24 * time.Hour}, {"half-an-hour-behind", -30 * time.Minute}} {
		t.Run(tt.id, func(t *testing.T) {
			p := says(running)
			o := p.options(bus)
			o.Plan = func(string, string) track.Plan { return soon }
			_, stop := run(t, o)
			defer stop()
			e := submitted(tt.id)
			e.Time = e.Time.Add(tt.off)
			publishAll(t, bus, e)
			awaitHistory(t, bus, tt.id, "submitted by receiver", "progress by poll", "overdue by receiver")
			asked := p.questions(tt.id)
			eventually(t, "another question", func() bool { return p.questions(tt.id) > asked })
		})
	}
}

// The end of a job is not put off either.
func TestAJobSubmittedByAWrongClockIsLostInTime(t *testing.T) {
	soon := quick
	soon.Deadline, soon.Retention = 40*time.Millisecond, 100*time.Millisecond
	bus := open(t, start(t))
	p := says(running)
	o := p.options(bus)
	o.Plan = func(string, string) track.Plan { return soon }
	run(t, o)
	e := submitted("ahead")
	e.Time = e.Time.Add(24 * time.Hour)
	publishAll(t, bus, e)
	awaitHistory(t, bus, "ahead", "submitted by receiver", "progress by poll", "overdue by receiver", "lost by receiver")
	awaitNoWatch(t, bus, "ahead")
}
