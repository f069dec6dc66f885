package systemd_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/systemd"
)

func well(context.Context) error { return nil }

// listen returns a socket as systemd's, which NOTIFY_SOCKET names.
func listen(t *testing.T) func() string {
	t.Helper()
	t.Chdir(t.TempDir()) // the path of a socket is short
	ln, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "notify", Net: "unixgram"})
	if err != nil {
		t.Skip("there are no such sockets here:", err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	t.Setenv("NOTIFY_SOCKET", "notify")
	t.Setenv("WATCHDOG_PID", "")
	return func() string {
		t.Helper()
		if err := ln.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8<<10)
		n, err := ln.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestSystemdLearnsTheState(t *testing.T) {
	for name, row := range map[string]struct {
		watchdog     string
		alive, ready error
		want         []string // one assignment each
	}{
		"ready":                     {"30000000", nil, nil, []string{"WATCHDOG=1", "STATUS=ready"}},
		"not ready":                 {"30000000", nil, errors.New("no NATS"), []string{"WATCHDOG=1", "STATUS=not ready: no NATS"}},
		"hanging":                   {"30000000", errors.New("no answer"), nil, []string{"STATUS=hangs: no answer"}},
		"no watchdog":               {"", errors.New("is not asked"), nil, []string{"STATUS=ready"}},
		"a reason of several lines": {"30000000", nil, errors.New("a\nMAINPID=1\r\x00\nb"), []string{"WATCHDOG=1", `STATUS=not ready: a\nMAINPID=1\r\x00\nb`}},
		"a hang of several lines":   {"30000000", errors.New("a\nWATCHDOG=1"), nil, []string{`STATUS=hangs: a\nWATCHDOG=1`}},
	} {
		t.Run(name, func(t *testing.T) {
			next := listen(t)
			t.Setenv("WATCHDOG_USEC", row.watchdog)
			stopping := systemd.Process{
				Alive: func(context.Context) error { return row.alive }, Ready: func(context.Context) error { return row.ready }, Log: zerolog.Nop(),
			}.Keep(t.Context())
			if got := next(); got != "READY=1" {
				t.Errorf("the first message is %q, want READY=1", got)
			}
			if got := strings.Split(next(), "\n"); !slices.Equal(got, row.want) {
				t.Errorf("the state is %q, want %q", got, row.want)
			}
			stopping()
			if got := next(); got != "STOPPING=1\nSTATUS=stopping" {
				t.Errorf("the last message is %q", got)
			}
		})
	}
}

// The watchdog gets its heartbeats well before its time is up.
func TestTheWatchdogIsFedInTime(t *testing.T) {
	next := listen(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	began := time.Now()
	stopping := systemd.Process{Alive: well, Ready: well, Log: zerolog.Nop()}.Keep(t.Context())
	defer stopping()
	_ = next()
	for range 4 {
		if got := next(); !strings.HasPrefix(got, "WATCHDOG=1\n") {
			t.Fatalf("the message is %q", got)
		}
	}
	if took := time.Since(began); took < 290*time.Millisecond {
		t.Errorf("four messages in %v: that is no third of the time each", took)
	}
}

// A question that hangs does not delay the end.
func TestAHangEndsWithTheProcess(t *testing.T) {
	next := listen(t)
	t.Setenv("WATCHDOG_USEC", "3600000000")
	hung := make(chan struct{})
	stopping := systemd.Process{Ready: well, Log: zerolog.Nop(), Alive: func(ctx context.Context) error {
		close(hung)
		<-ctx.Done()
		return ctx.Err()
	}}.Keep(t.Context())
	<-hung
	stopping()
	if first, last := next(), next(); first != "READY=1" || !strings.HasPrefix(last, "STOPPING=1") {
		t.Errorf("the messages are %q and %q", first, last)
	}
}

func TestWithoutSystemdNothingIsAsked(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000")
	no := func(context.Context) error { t.Error("it is asked"); return nil }
	systemd.Process{Alive: no, Ready: no, Log: zerolog.Nop()}.Keep(t.Context())()
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	systemd.Process{Alive: no, Ready: no, Log: zerolog.Nop()}.Keep(t.Context())()
}
