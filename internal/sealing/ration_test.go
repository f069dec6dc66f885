package sealing_test

import (
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/sealing"
)

// Checkpoints are kept for ever. A sender that is refused once a second, day and night, must not
// cause one a second, but its requests are sealed within a minute.
func TestRefusalsCauseFewCheckpoints(t *testing.T) {
	for _, row := range []struct {
		name        string
		open        bool
		every       time.Duration
		least, most int // checkpoints in two hours
	}{
		{"an event a second", false, time.Second, 7190, 7200},
		{"a refusal a second", true, time.Second, 600, 900},
		{"ten refusals a second", true, time.Second / 10, 1600, 1900},
		{"a refusal every two minutes", true, 2 * time.Minute, 59, 61},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{held: true}
				o := w.options()
				o.Logs[0].Open, o.Interval = row.open, time.Second
				k := run(t, sealing.New(o))
				longest := time.Duration(0)
				for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); {
					w.do(func() { w.last++ })
					pass(row.every)
					if waits := w.waiting(row.every); waits > longest {
						longest = waits
					}
				}
				k()
				if n := len(w.kept); n < row.least || n > row.most {
					t.Errorf("%d checkpoints were kept in two hours, want %d to %d", n, row.least, row.most)
				}
				if longest > time.Minute+5*time.Second {
					t.Errorf("a record waited for %v, want about a minute at most", longest)
				}
				if w.follows < 1 && row.least == 600 {
					t.Error("the log was not looked at between two checkpoints")
				}
			})
		})
	}
}

// waiting is how old the oldest record is that is not sealed, where one comes each time.
func (w *world) waiting(each time.Duration) (d time.Duration) {
	w.do(func() { d = time.Duration(int64(w.last)-w.sealed) * each })
	return d
}

// After a quiet night there are as many again at the interval.
func TestTheRationComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true}
		o := w.options()
		o.Logs[0].Open, o.Interval = true, time.Second
		defer run(t, sealing.New(o))()
		refused := func(d time.Duration) (checkpoints int) {
			w.do(func() { checkpoints = -len(w.kept) })
			for end := time.Now().Add(d); time.Now().Before(end); {
				w.do(func() { w.last++ })
				pass(time.Second)
			}
			w.do(func() { checkpoints += len(w.kept) })
			return checkpoints
		}
		refused(time.Hour)
		if n := refused(5 * time.Minute); n > 15 {
			t.Errorf("%d checkpoints in five minutes after an hour, want few", n)
		}
		pass(11 * time.Hour)
		if n := refused(5 * time.Minute); n < 298 {
			t.Errorf("%d checkpoints in five minutes after a quiet night, want one a second", n)
		}
	})
}
