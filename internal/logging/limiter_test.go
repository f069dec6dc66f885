package logging_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/logging"
)

// line is a line of the log.
type line struct {
	Level, Message, Of, From string
	Lines                    int
	By                       map[string]int
}

const summary = "log lines over the rate limit were counted, not written"

// record logs what write writes through a limiter, and returns the lines.
func record(t *testing.T, write func(log zerolog.Logger, l *logging.Limiter)) (all []line, held uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := zerolog.New(zerolog.SyncWriter(&out))
		l := logging.NewLimiter(log)
		write(log.Hook(l), l)
		l.Report()
		for text := range strings.Lines(out.String()) {
			var one line
			if err := json.Unmarshal([]byte(text), &one); err != nil {
				t.Fatalf("line %q: %v", text, err)
			}
			all = append(all, one)
		}
		held = l.Held()
	})
	return all, held
}

// count returns how many lines were written as they are, and how many the summaries report.
func count(all []line) (written, reported, summaries int) {
	for _, l := range all {
		if l.Message != summary {
			written++
			continue
		}
		reported, summaries = reported+l.Lines, summaries+1
	}
	return written, reported, summaries
}

func second() {
	time.Sleep(time.Second + time.Millisecond) //nolint:forbidigo // in a synctest bubble
	synctest.Wait()
}

// However often a line is logged, few are written, and all are counted.
func TestLinesKeepToARate(t *testing.T) {
	for _, row := range []struct {
		name                       string
		lines                      int
		write                      func(zerolog.Logger, *logging.Limiter, int)
		written, reported, summary int
	}{
		{"as many as may be", logging.PerKind, func(log zerolog.Logger, _ *logging.Limiter, _ int) { log.Warn().Msg("x") }, logging.PerKind, 0, 0},
		{"one more", logging.PerKind + 1, func(log zerolog.Logger, _ *logging.Limiter, _ int) { log.Error().Msg("x") }, logging.PerKind, 1, 1},
		{"many", 10_000, func(log zerolog.Logger, _ *logging.Limiter, _ int) { log.Warn().Msg("x") }, logging.PerKind, 10_000 - logging.PerKind, 1},
		{"of two messages", 10_000, func(log zerolog.Logger, _ *logging.Limiter, i int) { log.Warn().Msg([]string{"x", "y"}[i%2]) },
			2 * logging.PerKind, 10_000 - 2*logging.PerKind, 2},
		{"with addresses of strangers", 10_000, func(log zerolog.Logger, _ *logging.Limiter, i int) {
			log.Error().Msg(fmt.Sprintf("10.0.%d.%d:%d - cid:%d - authentication error", i/256, i%256, i, i))
		}, logging.PerKind, 10_000 - logging.PerKind, 1},
		{"with words of strangers", 10_000, func(log zerolog.Logger, _ *logging.Limiter, i int) {
			log.Error().Msg(fmt.Sprintf("user %q is unknown", strings.Repeat("x", i%50)))
		}, logging.PerKind, 10_000 - logging.PerKind, 1},
		{"with a stack behind", 10_000, func(log zerolog.Logger, _ *logging.Limiter, i int) {
			log.Error().Msg("panic serving:\n" + strings.Repeat("x", i%50))
		}, logging.PerKind, 10_000 - logging.PerKind, 1},
		{"all of other messages", 10_000, func(log zerolog.Logger, _ *logging.Limiter, i int) {
			log.Warn().Msg(strings.Repeat("x", i%70) + strings.Repeat("y", i%77)) // thousands of them
		}, 256*2 + 2*logging.PerKind, -1, -1},
		{"of many sources", 10_000, func(log zerolog.Logger, l *logging.Limiter, i int) {
			if l.Allow(zerolog.InfoLevel, "callback", fmt.Sprint("source", i%20), "mismatch") {
				log.Info().Msg("callback")
			}
		}, logging.PerMessage, 10_000 - logging.PerMessage, 1},
		{"news and what was asked for", 1000, func(log zerolog.Logger, _ *logging.Limiter, i int) {
			log.WithLevel([]zerolog.Level{zerolog.InfoLevel, zerolog.DebugLevel}[i%2]).Msg("x")
		}, 1000, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			all, held := record(t, func(log zerolog.Logger, l *logging.Limiter) {
				for i := range row.lines {
					row.write(log, l, i)
				}
			})
			written, reported, summaries := count(all)
			if written+reported != row.lines || int(held) != reported {
				t.Errorf("%d lines written and %d reported of %d, Held() = %d", written, reported, row.lines, held)
			}
			if row.reported < 0 {
				if written > row.written*logging.PerKind {
					t.Errorf("%d lines written, want a bound", written)
				}
				return
			}
			if written != row.written || reported != row.reported || summaries != row.summary {
				t.Errorf("%d written, %d reported in %d lines, want %d, %d, %d", written, reported, summaries, row.written, row.reported, row.summary)
			}
		})
	}
}

// Ten seconds of a flood are a hundred lines and ten that count, with what they count.
func TestAFloodIsCountedEverySecond(t *testing.T) {
	all, _ := record(t, func(log zerolog.Logger, l *logging.Limiter) {
		for range 10 {
			for i := range 1000 {
				if l.Allow(zerolog.ErrorLevel, "callback", "crm", []string{"mismatch", "unavailable"}[i%2]) {
					log.Info().Msg("callback")
				}
			}
			second()
		}
	})
	written, reported, summaries := count(all)
	if written != 2*10*logging.PerKind || reported != 10_000-written || summaries != 10 {
		t.Errorf("%d written, %d reported in %d lines", written, reported, summaries)
	}
	last := all[len(all)-1]
	if last.Level != "error" || last.Of != "callback" || last.By["crm mismatch"] != 490 || last.By["crm unavailable"] != 490 {
		t.Errorf("the last line is %+v", last)
	}
}

// After a flood all is as it was, and nothing runs on.
func TestAFloodIsOver(t *testing.T) {
	all, _ := record(t, func(log zerolog.Logger, _ *logging.Limiter) {
		for range 1000 {
			log.Warn().Msg("x")
		}
		second()
		log.Warn().Msg("x")
		second()
	})
	if got := all[len(all)-1].Message; got != "x" || len(all) != logging.PerKind+2 {
		t.Errorf("%d lines, the last of them %q", len(all), got)
	}
}

func TestLimiterIsSafeForConcurrentUse(t *testing.T) {
	all, held := record(t, func(log zerolog.Logger, l *logging.Limiter) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 1000 {
					log.Warn().Msg("x")
				}
			})
		}
		wg.Go(l.Report)
		wg.Wait()
	})
	if written, reported, _ := count(all); written+reported != 8000 || int(held) != reported {
		t.Errorf("%d lines written and %d reported of 8000, Held() = %d", written, reported, held)
	}
}

func TestLinesOfTheStandardLibrary(t *testing.T) {
	all, _ := record(t, func(log zerolog.Logger, _ *logging.Limiter) {
		std := logging.Std(log, "net/http")
		for range 100 {
			std.Printf("http: Accept error: too many open files; retrying in %v", time.Second)
		}
		std.Printf("http: panic serving 127.0.0.1:5: oh\nstack")
	})
	if l := all[0]; l.Level != "warn" || l.From != "net/http" || !strings.HasPrefix(l.Message, "http: Accept error") {
		t.Errorf("the first line is %+v", l)
	}
	if l := all[logging.PerKind]; l.Level != "error" || !strings.HasSuffix(l.Message, "oh\nstack") {
		t.Errorf("the line of the panic is %+v", l)
	}
	if l := all[len(all)-1]; l.Lines != 100-logging.PerKind || l.Level != "warn" {
		t.Errorf("the last line is %+v", l)
	}
}
