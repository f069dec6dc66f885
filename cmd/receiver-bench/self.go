package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"receiver/internal/bench"
)

// benchSource is the name of the one source that is measured.
const benchSource = "bench"

// benchKey signs all callbacks. It is no secret, and fixed for the configuration of a peer.
const benchKey = "MySecretEventSignatureKey"

// selfBench measures receivers beside other programs.
type selfBench struct {
	load     bench.Load
	folder   string // removed at the end
	self     string // this program
	receiver string // the program
	peer     peerProgram
}

// peerProgram is another receiver, with a configuration of its own.
type peerProgram struct {
	path, config string
	url          string // where it takes callbacks
	nats         string // where it stores
}

func (a *app) benchSelf(ctx context.Context, f benchFlags) (err error) {
	if f.lanes == nil {
		f.lanes = slices.DeleteFunc(laneNames(), func(name string) bool {
			return name == laneSealing || name == lanePeer && f.peer.path == ""
		})
	}
	for _, name := range f.lanes {
		if !slices.Contains(laneNames(), name) {
			return usagef("--lanes %q does not exist; choose from %s", name, strings.Join(laneNames(), ", "))
		}
		if name == lanePeer && (f.peer.path == "" || f.peer.config == "") {
			return usagef("--lanes %s needs --peer and --peer-config", name)
		}
	}
	b, err := newSelfBench(f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	lanes, targets := b.lanes(f.lanes)
	each := f.load.Duration + f.load.Warmup + benchOverhead
	a.say("%d subjects, %d measurements each, %v each: about %v; Ctrl-C stops and prints the results so far",
		len(lanes), f.alternations, f.load.Duration, (time.Duration(len(lanes)*f.alternations) * each).Round(time.Second))
	report, err := bench.Alternate(ctx, lanes, targets, f.alternations, func(n int, l bench.Lane, s bench.Sample) {
		a.say("%d/%d  %-40s %8.0f requests/s  p99 %7.3f ms", n+1, f.alternations, l, s.Rate, s.Latency.P99)
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	report.Load = bench.LoadShape{
		Connections: f.load.Connections, Rate: f.load.Rate, Seconds: f.load.Duration.Seconds(), Body: f.load.Body,
	}
	if f.json {
		return json.NewEncoder(a.out).Encode(report)
	}
	return a.printReport(report)
}

// benchOverhead is about what starting and stopping takes each time.
const benchOverhead = time.Second

func newSelfBench(f benchFlags) (*selfBench, error) {
	b := &selfBench{load: f.load, receiver: f.receiver, peer: f.peer}
	b.load.Key = bench.Key(benchKey)
	b.load.URL = "http://127.0.0.1/" // stands for the real one until there is one
	if err := b.load.Check(); err != nil {
		return nil, usageError{err}
	}
	if f.alternations < 1 {
		return nil, usagef("--alternations %d, want at least 1", f.alternations)
	}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if b.folder, err = os.MkdirTemp(f.folder, "receiver-bench-"); err != nil {
		return nil, usagef("--folder: %w", err)
	}
	return b, nil
}

// build builds the receiver, unless there is one.
func (b *selfBench) build(ctx context.Context) error {
	if b.receiver != "" {
		return nil
	}
	b.receiver = filepath.Join(b.folder, "receiver")
	said, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.receiver, "receiver/cmd/receiver").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the receiver: %w; run this in the source tree, or give --receiver\n%s", err, said)
	}
	return nil
}
