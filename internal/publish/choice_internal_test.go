package publish

import (
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// measured is a choice, and the server that it measures: the time of a message by way.
type measured struct {
	*choice
	clock      time.Time
	connection uint64
	cost       [2]time.Duration
	tried      [2]int // messages stored by way
}

func newMeasured(alone, batched time.Duration) *measured {
	m := &measured{clock: time.Unix(1e9, 0), connection: 1, cost: [2]time.Duration{alone, batched}}
	m.choice = &choice{now: func() time.Time { return m.clock }, connection: func() uint64 { return m.connection }, log: zerolog.Nop()}
	return m
}

// load stores messages under load for some windows.
func (m *measured) load(windows int) {
	for range windows * windowMessages {
		w := m.current()
		m.tried[w]++
		m.clock = m.clock.Add(m.cost[w])
		m.note(w, m.cost[w]*measuredCallers, measuredCallers)
	}
}

func TestTheFasterWayIsUsed(t *testing.T) {
	const fast, slow = 50 * time.Microsecond, 200 * time.Microsecond
	for _, tt := range []struct {
		name           string
		alone, batched time.Duration
		want           way
	}{
		{"a server without fsync", fast, slow, oneByOne},
		{"a server with fsync", slow, fast, inBatches},
		{"no difference", fast, fast, oneByOne},
		{"hardly a difference", fast, fast * 95 / 100, oneByOne},
	} {
		m := newMeasured(tt.alone, tt.batched)
		m.load(2)
		if got := m.current(); got != tt.want || m.tried != [2]int{windowMessages, windowMessages} {
			t.Errorf("%s: %v after %v messages, want %v after one window of each way", tt.name, got, m.tried, tt.want)
		}
		m.tried = [2]int{}
		m.load(100)
		if wrong := m.tried[1-tt.want]; wrong > 2*windowMessages {
			t.Errorf("%s: %d messages of 100 windows in the slower way", tt.name, wrong)
		}
	}
}

func TestTheOtherWayIsTriedAgain(t *testing.T) {
	const fast, slow = 50 * time.Microsecond, 200 * time.Microsecond
	for _, tt := range []struct {
		name   string
		change func(*measured)
		within int // windows
	}{
		{"another server is reached", func(m *measured) { m.connection++ }, 2},
		{"the way in use becomes slow", func(*measured) {}, 2},
		{"the other way becomes fast, after a while", func(m *measured) {
			m.cost[oneByOne], m.cost[inBatches] = fast, fast/10
			m.clock = m.clock.Add(maxTrialPause)
		}, 2},
	} {
		m := newMeasured(fast, slow)
		m.load(10)
		if m.current() != oneByOne {
			t.Fatalf("%s: %v at first, want one by one", tt.name, m.current())
		}
		m.cost = [2]time.Duration{10 * slow, fast}
		tt.change(m)
		m.load(tt.within)
		if m.current() != inBatches {
			t.Errorf("%s: still %v after %d windows", tt.name, m.current(), tt.within)
		}
	}
}

func TestACallerAloneTriesNothing(t *testing.T) {
	m := newMeasured(time.Second, time.Microsecond)
	for range 10 * windowMessages {
		m.note(m.current(), time.Second, measuredCallers-1)
	}
	if m.current() != oneByOne {
		t.Error("batches are used although too few callers store messages at once")
	}
	if (*choice)(nil).current() != inBatches {
		t.Error("no choice means batches")
	}
	(*choice)(nil).note(inBatches, 0, measuredCallers)
}
