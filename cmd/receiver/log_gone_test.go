//go:build unix

package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logged is a receiver whose standard error is a file of the test's choice.
type logged struct {
	cmd             *exec.Cmd
	public, private string
	done            chan struct{}
}

// logTo starts serve with its log on a file, by a command of a shell unless that is empty, and
// waits until it is ready. The log cannot be read for that.
func logTo(t *testing.T, to *os.File, command string) *logged {
	t.Helper()
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(dir, p); err != nil {
		t.Fatal(err)
	}
	l := &logged{cmd: exec.Command("receiver", "serve"), public: "http://127.0.0.1:" + p.public, private: "http://127.0.0.1:" + p.private, done: make(chan struct{})}
	if command != "" {
		l.cmd = exec.Command("sh", "-c", command)
	}
	l.cmd.Dir, l.cmd.Env, l.cmd.Stderr = dir, environment(), to
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(l.done)
		_ = l.cmd.Wait() // ProcessState has the result
	}()
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill() // it may have ended by itself
		<-l.done
	})
	l.until(t, "it is ready", func() bool {
		code, _ := l.get(l.private + "/readyz")
		return code == http.StatusOK
	})
	return l
}

func (l *logged) get(url string) (code int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body) // what is missing does not match
	return answer.StatusCode, string(text)
}

// until waits for what no message reports, and fails if the receiver ends meanwhile.
func (l *logged) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	timeout := time.NewTimer(waitTimeout)
	defer timeout.Stop()
	for !done() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-l.done:
			t.Fatalf("the receiver ended before %s: %v", what, l.cmd.ProcessState)
		case <-timeout.C:
			t.Fatalf("not within %v: %s", waitTimeout, what)
		}
	}
}

var droppedLines = regexp.MustCompile(`(?m)^receiver_log_lines_dropped_total ([0-9.e+]+)$`)

// dropped returns how many lines of the log are lost, as the metric has it.
func (l *logged) dropped(t *testing.T) int {
	t.Helper()
	_, text := l.get(l.private + "/metrics")
	m := droppedLines.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no receiver_log_lines_dropped_total in the metrics:\n%s", tail(text))
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// calls calls back for new jobs, each of which must be answered 200 and makes a line.
func (l *logged) calls(t *testing.T, prefix string, times int) {
	t.Helper()
	c := newCaller(l.public)
	for i := range times {
		if _, ok, err := c.finished(t.Context(), fmt.Sprint(prefix, i)); !ok || err != nil {
			t.Fatalf("callback %d was not answered 200: %v", i, err)
		}
	}
}

// ends sends SIGTERM, and the receiver must end well in time.
func (l *logged) ends(t *testing.T) {
	t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-l.done:
		if code := l.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("the receiver ended with %v, want exit 0", l.cmd.ProcessState)
		}
	case <-time.After(waitTimeout):
		t.Errorf("the receiver goes on %v after SIGTERM", waitTimeout)
	}
}

// A log that cannot be written, whatever the reason, costs its lines and nothing else.
func TestUnwritableLogDoesNotEndTheReceiver(t *testing.T) {
	t.Parallel()
	pipe := func(t *testing.T) (r, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() }) // closed already, as a rule
		return r, w
	}
	unread := func(t *testing.T) *os.File {
		t.Helper()
		r, w := pipe(t)
		_ = r.Close()
		return w
	}
	for _, row := range []struct {
		name    string
		command string
		open    func(t *testing.T) *os.File
		lost    bool // lines are, at once
	}{
		{"its reader is gone", "", unread, true},
		{"its reader is gone and the parent ignores SIGPIPE", "trap '' PIPE; exec receiver serve", unread, true},
		{"nobody reads the pipe", "", func(t *testing.T) *os.File { _, w := pipe(t); return w }, false},
		{"nobody reads the pipe, which does not block", "", func(t *testing.T) *os.File {
			_, w := pipe(t)
			if err := syscall.SetNonblock(int(w.Fd()), true); err != nil {
				t.Fatal(err)
			}
			return w
		}, false},
		{"the disk is full", "", func(t *testing.T) *os.File {
			f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if errors.Is(err, os.ErrNotExist) {
				t.Skip("there is no /dev/full")
			}
			if err != nil {
				t.Fatal(err)
			}
			return f
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel() // each waits for its own process
			to := row.open(t)
			l := logTo(t, to, row.command)
			l.calls(t, "a", 600) // their lines are more than a pipe takes
			if row.lost {
				l.until(t, "the lines are counted", func() bool { return l.dropped(t) >= 600 })
			}
			l.ends(t)
		})
	}
}

// When the log is read again, it says how many lines are missing.
func TestLogReportsItsMissingLines(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skipf("no named pipes: %v", err)
	}
	open := func(flags int) *os.File {
		t.Helper()
		f, err := os.OpenFile(fifo, flags, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := open(os.O_RDONLY | syscall.O_NONBLOCK)
	to := open(os.O_WRONLY)
	l := logTo(t, to, "")
	if err := errors.Join(to.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	l.calls(t, "a", 100)
	l.until(t, "the lines are counted", func() bool { return l.dropped(t) >= 100 })
	again := open(os.O_RDONLY)
	defer again.Close()
	lines := bufio.NewScanner(again)
	for lines.Scan() && !strings.Contains(lines.Text(), "log lines were dropped") { //nolint:revive // it only looks
	}
	if want := fmt.Sprintf(`"lines":%d,`, l.dropped(t)); !strings.Contains(lines.Text(), want) {
		t.Errorf("the log tells %q, want %s", lines.Text(), want)
	}
	l.calls(t, "b", 1)
	if !lines.Scan() || !strings.Contains(lines.Text(), "jobs.demo.b0.finished") {
		t.Errorf("then it tells %q, want the next callback", lines.Text())
	}
	l.ends(t)
}

// Standard output differs from the log: a command in a pipeline whose reader has ended is ended by
// SIGPIPE.
func TestClosedOutputEndsACommand(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	cmd := exec.Command("receiver", "--help")
	cmd.Env, cmd.Stdout = environment(), w
	err = cmd.Run()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err == nil || !ok || !status.Signaled() || status.Signal() != syscall.SIGPIPE {
		t.Errorf("the command ended with %v, want by SIGPIPE", cmd.ProcessState)
	}
	cmd = exec.Command("receiver", "nothing") // says so on standard error, if it can
	cmd.Env, cmd.Stderr = environment(), w
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("a command without standard error ended with %v, want exit 2", err)
	}
}
