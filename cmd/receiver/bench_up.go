package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/bench"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/web"
)

// measured is something that is up to be measured.
type measured struct {
	address string
	stop    func() error
}

// bringUp starts what a configuration says.
type bringUp func(context.Context, *config.Config) (measured, error)

// run returns a function that brings something up on a folder of its own, measures it
// once, and takes it down.
func (b *selfBench) run(lane bench.Lane, l bench.Load, up bringUp) func(context.Context) (bench.Sample, error) {
	return func(ctx context.Context) (s bench.Sample, err error) {
		folder, err := os.MkdirTemp(b.folder, "")
		if err != nil {
			return s, fmt.Errorf("making a folder for the store: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		cfg, err := b.config(folder, lane.Sync)
		if err != nil {
			return s, err
		}
		m, err := up(ctx, cfg)
		if err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, m.stop()) }()
		l.URL = "http://" + m.address + "/callbacks/" + benchSource
		return b.measure(ctx, lane, l)
	}
}

// measure puts load on something in this process, by a generator in another.
func (b *selfBench) measure(ctx context.Context, lane bench.Lane, l bench.Load) (s bench.Sample, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, fmt.Errorf("finding this program: %w", err)
	}
	// The generator ends when its input does, and not before it has said what it has.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "bench", "--generator")
	cmd.Args[0] = os.Args[0]
	child, err := bench.Launch(ctx, cmd, l)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()
	if b.profile != "" {
		stop, err := bench.Profile(b.profile, lane.String())
		if err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	before := bench.ReadUsage()
	s.Result, err = child.Measure(ctx)
	s.Cost = bench.ReadUsage().Since(before, s.Requests)
	return s, err
}

// config writes and reads the configuration of a receiver on a folder.
func (b *selfBench) config(folder, sync string) (*config.Config, error) {
	nats, err := freeAddress("0")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`sources:
  %s:
    base_url: http://127.0.0.1:1/elements/api-v2
    hub: none
    element_token: none
    user_secret: none
    signature_keys: [{name: bench, value: %q}]
public: {address: "127.0.0.1:0"}
private: {address: "127.0.0.1:0"}
nats: {sync: %s, embedded: {folder: store, address: %q}}
`, benchSource, string(b.load.Key), sync, nats)
	path := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("writing the configuration to measure: %w", err)
	}
	return config.Load(config.Options{Path: path}) // the environment is left out: it is the same on every machine
}

// receiver brings up what serve does, its log in a file.
func (b *selfBench) receiver(ctx context.Context, cfg *config.Config) (measured, error) {
	in, stop, err := b.instance(ctx, cfg)
	if err != nil {
		return measured{}, err
	}
	return measured{in.public.addr, stop}, nil
}

// instance starts a receiver with its log in a file, as serve does.
func (b *selfBench) instance(ctx context.Context, cfg *config.Config) (in *instance, stop func() error, err error) {
	file, err := os.Create(cfg.Abs("log"))
	if err != nil {
		return nil, nil, fmt.Errorf("making a log file: %w", err)
	}
	log, written := lines(file, cfg.Log)
	in, err = start(ctx, cfg, log)
	end := func() error {
		written.Close()
		return file.Close()
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return in, func() error { return errors.Join(in.stop(), end()) }, nil
}

// ceiling brings up the least that stores callbacks, gathered or alone.
func (b *selfBench) ceiling(alone bool) bringUp {
	return func(ctx context.Context, cfg *config.Config) (measured, error) {
		server, err := publish.Start(publish.Embedded{
			Folder: cfg.Abs(cfg.NATS.Embedded.Folder), SyncAlways: cfg.NATS.Sync == config.SyncAlways,
			MaxBody: int(cfg.Limits.Body), Log: zerolog.Nop(),
		})
		if err != nil {
			return measured{}, err
		}
		bus, err := server.Open(ctx, publish.Options{OneByOne: alone, Library: true, Log: zerolog.Nop()})
		if err != nil {
			server.Stop()
			return measured{}, err
		}
		door, err := open(publicEntrance(cfg), web.NewCeiling(b.verifier, b.store(bus)), cfg.Limits, web.Bound{Most: mostPublic}, nil)
		if err != nil {
			return measured{}, errors.Join(err, bus.Close(ctx))
		}
		return measured{door.addr, func() error {
			defer server.Stop()
			ctx, cancel := context.WithTimeout(context.Background(), benchPatience)
			defer cancel()
			return errors.Join(door.server.Shutdown(ctx), bus.Close(ctx))
		}}, nil
	}
}

// benchPatience bounds what is done after a measurement.
const benchPatience = 20 * time.Second

// store returns what stores a body in as many bytes as the receiver would take, on a
// subject of its own.
func (b *selfBench) store(bus *publish.Bus) func(context.Context, []byte) error {
	var n atomic.Uint64
	return func(ctx context.Context, body []byte) error {
		data := make([]byte, len(body)+b.padding)
		copy(data, body)
		return bus.PublishRaw(ctx, "jobs."+benchSource+"."+strconv.FormatUint(n.Add(1), 10)+".finished", data)
	}
}

// baseline brings up Echo and HMAC, and nothing else.
func (b *selfBench) baseline(_ context.Context, cfg *config.Config) (measured, error) {
	door, err := open(publicEntrance(cfg), web.NewCeiling(b.verifier, nil), cfg.Limits, web.Bound{Most: mostPublic}, nil)
	if err != nil {
		return measured{}, err
	}
	return measured{door.addr, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), benchPatience)
		defer cancel()
		return door.server.Shutdown(ctx)
	}}, nil
}

// probe sends one callback to the receiver and returns how many bytes its event has
// beside the body.
func (b *selfBench) probe(ctx context.Context) (int, error) {
	cfg, err := b.config(b.folder, config.SyncInterval)
	if err != nil {
		return 0, err
	}
	in, err := start(ctx, cfg, zerolog.Nop())
	if err != nil {
		return 0, err
	}
	l := b.load
	l.URL, l.Connections, l.Prime, l.Warmup = "http://"+in.public.addr+"/callbacks/"+benchSource, 1, 1, 0
	g, err := bench.Start(ctx, l)
	if err != nil {
		return 0, errors.Join(err, in.stop())
	}
	g.Close()
	size := 0
	for m, err := range in.bus.Messages(ctx, publish.Watch{Subjects: []string{"jobs." + benchSource + ".*.finished"}}) {
		if err != nil {
			return 0, errors.Join(err, in.stop())
		}
		for name, values := range m.Header {
			for _, v := range values {
				size += len(name) + len(": ") + len(v) + len("\r\n")
			}
		}
	}
	return size, in.stop()
}
