package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"receiver/internal/cluster"
)

// again is how long a server that ended stays away.
const again = 10 * time.Second

// servers are those of a cluster. Each is a process of this program.
type servers struct {
	folder string // of their logs
	wg     sync.WaitGroup

	mu  sync.Mutex
	out io.Writer
}

func (s *servers) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, format, args...) // talk
}

// keep starts a node, and again whenever it ends, until ctx is done.
func (s *servers) keep(ctx context.Context, n cluster.Node) error {
	log := filepath.Join(s.folder, n.Name+".log")
	node, err := s.start(ctx, n, log)
	if err != nil {
		return err
	}
	s.wg.Go(func() {
		for {
			err := node.Wait()
			if ctx.Err() != nil {
				return
			}
			s.say("%s ended (%v), and is started again in %v\n", n.Name, err, again)
			select {
			case <-time.After(again):
			case <-ctx.Done():
				return
			}
			if node, err = s.start(ctx, n, log); err != nil {
				s.say("%s is not started again: %v\n", n.Name, err)
				return
			}
		}
	})
	return nil
}

// start starts a node, which ends with ctx as an operator would end it.
func (s *servers) start(ctx context.Context, n cluster.Node, log string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	node := exec.CommandContext(ctx, self, n.Args()...)
	node.Env = append(os.Environ(), isNode+"=1")
	node.Stdout, node.Stderr = file, file
	node.Cancel = func() error { return node.Process.Signal(syscall.SIGTERM) }
	node.WaitDelay = again
	if err := node.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", n.Name, err)
	}
	s.say("%s is process %d at %s, and logs to %s\n", n.Name, node.Process.Pid, n.URL, log)
	return node, nil
}

// ready waits until every node says that its JetStream works.
func ready(ctx context.Context, c *cluster.Cluster) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, n := range c.Nodes {
		for !n.Healthy(ctx) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return errors.Join(errors.New("stopped before the servers had agreed on a leader"), ctx.Err())
			}
		}
	}
	return nil
}
