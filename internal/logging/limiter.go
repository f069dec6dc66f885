package logging

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// The number of lines written in a second. Unauthenticated requests, and an outage that affects
// every job and callback, could cause any number.
const (
	// PerKind bounds the lines of one kind: of one message, source and reason.
	PerKind = 10
	// PerMessage bounds the lines of one message, whatever their sources and reasons.
	PerMessage = 5 * PerKind

	mostKinds = 256 // that are distinguished in a second
	mostText  = 80  // bytes of a message that tell it apart from others
)

// Limiter keeps the lines of a log to a rate. A line over it is counted instead of written, and
// one line a second for each message reports how many, by source and reason. As a hook of a
// logger it limits warnings and errors, by their message.
type Limiter struct {
	log  zerolog.Logger
	held atomic.Uint64

	mu       sync.Mutex
	kinds    map[kind]*tally // of this second
	messages map[string]int  // lines of each message that were let through in this second
	timer    *time.Timer     // ends this second; nil while nothing is logged
}

type kind struct{ message, source, reason string }

type tally struct {
	level     zerolog.Level
	let, held int
}

// NewLimiter returns a limiter that reports to log, which it does not limit.
func NewLimiter(log zerolog.Logger) *Limiter {
	return &Limiter{log: log, kinds: map[kind]*tally{}, messages: map[string]int{}}
}

// Allow reports whether a line may be written now, and counts it if not. A source or a reason
// that a stranger chose must be given as one word for all of them.
func (l *Limiter) Allow(level zerolog.Level, message, source, reason string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Second, l.Report)
	}
	k := kind{message, source, reason}
	t := l.kinds[k]
	if t == nil && len(l.kinds) >= mostKinds {
		k = kind{message: "other messages"}
		t = l.kinds[k]
	}
	if t == nil {
		t = &tally{level: level}
		l.kinds[k] = t
	}
	if t.let < PerKind && l.messages[k.message] < PerMessage {
		t.let++
		l.messages[k.message]++
		return true
	}
	t.held++
	l.held.Add(1)
	return false
}

// Held returns how many lines were counted instead of written so far.
func (l *Limiter) Held() uint64 { return l.held.Load() }

// Report writes at once what was held back and not reported yet. Call it at the end.
func (l *Limiter) Report() {
	l.mu.Lock()
	kinds := l.kinds
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.kinds, l.messages = map[kind]*tally{}, map[string]int{}
	l.mu.Unlock()
	type summary struct {
		level zerolog.Level
		lines int
		by    *zerolog.Event
	}
	all := map[string]*summary{}
	for k, t := range kinds {
		if t.held == 0 {
			continue
		}
		s := all[k.message]
		if s == nil {
			s = &summary{by: zerolog.Dict()}
			all[k.message] = s
		}
		s.level = max(s.level, t.level)
		s.lines += t.held
		if of := strings.TrimSpace(k.source + " " + k.reason); of != "" {
			s.by.Int(of, t.held)
		}
	}
	for message, s := range all {
		l.log.WithLevel(s.level).Str("of", message).Int("lines", s.lines).Dict("by", s.by).
			Msg("log lines over the rate limit were counted, not written")
	}
}

// Run implements zerolog.Hook.
func (l *Limiter) Run(e *zerolog.Event, level zerolog.Level, message string) {
	if level >= zerolog.WarnLevel && level <= zerolog.ErrorLevel && !l.Allow(level, constant(message), "", "") {
		e.Discard()
	}
}

// constant is what does not vary in a message: ours never do, those of nats-server and net/http
// hold addresses, numbers and what others sent, in quotes.
func constant(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	message, _, _ = strings.Cut(message, `"`)
	if strings.ContainsAny(message, "0123456789") {
		message = strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return -1
			}
			return r
		}, message)
	}
	return message[:min(len(message), mostText)]
}
