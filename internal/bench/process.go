package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Program is how a program is started that is measured, or a server beside it.
type Program struct {
	// Args are the path and the arguments, Env the whole environment.
	Args, Env []string
	// Log is the file that gets its output.
	Log string
	// Ready is an address on this host that answers by HTTP, with a status below 500, as soon as
	// the program is ready.
	Ready string
}

// Process is a program that runs. It is made by Start, and must be stopped.
type Process struct {
	cmd   *exec.Cmd
	end   context.CancelFunc
	ended chan struct{}
}

// Start starts the program, and returns when it is ready. It ends with ctx at the latest.
func (p Program) Start(ctx context.Context) (*Process, error) {
	log, err := os.Create(p.Log)
	if err != nil {
		return nil, fmt.Errorf("making a log file: %w", err)
	}
	defer log.Close()
	running, end := context.WithCancel(ctx)
	r := &Process{cmd: exec.CommandContext(running, p.Args[0], p.Args[1:]...), end: end, ended: make(chan struct{})}
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr, r.cmd.WaitDelay = p.Env, log, log, grace
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGTERM) }
	if err := r.cmd.Start(); err != nil {
		end()
		return nil, fmt.Errorf("starting %s: %w", p.Args[0], err)
	}
	go func() {
		_ = r.cmd.Wait() // how it ends says nothing of how it served
		close(r.ended)
	}()
	if err := r.Ready(ctx, p.Ready); err != nil {
		r.Stop()
		return nil, fmt.Errorf("waiting for %s: %w; it said: %s", p.Args[0], err, lastOf(p.Log))
	}
	return r, nil
}

// Stop ends the program as an operator does, and after a while by force.
func (p *Process) Stop() {
	p.end()
	<-p.ended
}

// Ready waits until an address answers, as that of the program does.
func (p *Process) Ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, address) {
		select {
		case <-tick.C:
		case <-p.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer: %w", address, ctx.Err())
		}
	}
	return nil
}

func answers(ctx context.Context, address string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode < http.StatusInternalServerError
}

// mostOfLog is how much of its log an error has of a program that does not start.
const mostOfLog = 1000

// lastOf returns the end of a file.
func lastOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		_, _ = f.Seek(max(0, info.Size()-mostOfLog), io.SeekStart)
	}
	text, _ := io.ReadAll(f)
	return string(text)
}

// Measure puts a load on a program, which stores at these servers.
func Measure(ctx context.Context, l Load, program *Process, servers ...*Process) (s Sample, err error) {
	g, err := Start(ctx, l)
	if err != nil {
		return s, err
	}
	defer g.Close()
	all := append([]*Process{program}, servers...)
	before := make([]Usage, len(all))
	for i, p := range all {
		before[i] = ReadUsage(p.cmd.Process.Pid)
	}
	s.Result, err = g.Measure(ctx)
	for i, p := range all {
		now := ReadUsage(p.cmd.Process.Pid)
		if each := now.each(before[i], s.Requests); i > 0 {
			s.Servers += each
		} else {
			s.CPU, s.Peak = each, now.Peak
		}
	}
	return s, err
}
