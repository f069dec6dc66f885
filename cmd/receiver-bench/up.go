package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/bench"
	"receiver/internal/bench/ceiling"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/logging"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service"
	"receiver/internal/web"
)

// measured is something that is up to be measured.
type measured struct {
	url  string
	stop func() error
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
		l.URL = m.url + "/callbacks/" + benchSource
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
	child, err := bench.Launch(ctx, exec.CommandContext(context.WithoutCancel(ctx), self, "--generator"), l)
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
	text := fmt.Sprintf(`sources:
  %s:
    base_url: http://127.0.0.1:1/elements/api-v2
    hub: none
    element_token: none
    user_secret: none
    signature_keys: [{name: bench, value: %q}]
public: {address: "127.0.0.1:0"}
private: {address: "127.0.0.1:0"}
nats: {sync: %s, embedded: {folder: store, address: "127.0.0.1:0"}}
`, benchSource, string(b.load.Key), sync)
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
	return measured{in.PublicURL(), stop}, nil
}

// instance starts a receiver with its log in a file, as serve does.
func (b *selfBench) instance(ctx context.Context, cfg *config.Config) (in *service.Instance, stop func() error, err error) {
	file, err := os.Create(cfg.Abs("log"))
	if err != nil {
		return nil, nil, fmt.Errorf("making a log file: %w", err)
	}
	log, written := logging.Open(file, cfg.Log.Level, cfg.Log.Format)
	in, err = service.Start(ctx, cfg, log)
	end := func() error {
		written.Close()
		return file.Close()
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return in, func() error { return errors.Join(in.Stop(), end()) }, nil
}

// ceiling brings up the least that stores callbacks, gathered or alone.
func (b *selfBench) ceiling(alone bool) bringUp {
	return func(ctx context.Context, cfg *config.Config) (measured, error) {
		server, err := natsserver.Start(natsserver.Embedded{
			Folder: cfg.Abs(cfg.NATS.Embedded.Folder), SyncAlways: cfg.NATS.Sync == config.SyncAlways,
			MaxBody: int(cfg.Limits.Body), Log: zerolog.Nop(),
		})
		if err != nil {
			return measured{}, err
		}
		bus, err := publish.Open(ctx, server, conn.Options{OneByOne: alone, Log: zerolog.Nop()})
		if err != nil {
			server.Stop()
			return measured{}, err
		}
		url, listener, err := listen(cfg, ceiling.New(b.verifier, b.store(bus)))
		if err != nil {
			return measured{}, errors.Join(err, bus.Close(ctx))
		}
		return measured{url, func() error {
			defer server.Stop()
			ctx, cancel := context.WithTimeout(context.Background(), benchTimeout)
			defer cancel()
			return errors.Join(listener.Shutdown(ctx), bus.Close(ctx))
		}}, nil
	}
}

// listen serves a handler as the public listener does.
func listen(cfg *config.Config, h http.Handler) (url string, server *http.Server, err error) {
	ln, err := net.Listen("tcp", cfg.Public.Address)
	if err != nil {
		return "", nil, fmt.Errorf("opening a listener: %w", err)
	}
	l := cfg.Limits
	server = web.NewServer(h, web.Limits{
		Header: int(l.Header), ReadHeader: l.ReadHeaderTimeout, Read: l.ReadTimeout, Write: l.WriteTimeout, Idle: l.IdleTimeout,
	}, nil)
	go func() { _ = web.NewListener(ln, web.Bound{Most: mostConnections}).Serve(server) }()
	return "http://" + ln.Addr().String(), server, nil
}

// mostConnections is how many connections a listener has at most, as the receiver's by default.
const mostConnections = 16384

// benchTimeout bounds what is done after a measurement.
const benchTimeout = 20 * time.Second

// store returns what stores a body in as many bytes as the receiver would take, on a
// subject of its own.
func (b *selfBench) store(bus *publish.Store) func(context.Context, []byte) error {
	var n atomic.Uint64
	return func(ctx context.Context, body []byte) error {
		data := make([]byte, len(body)+b.padding)
		copy(data, body)
		return bus.PublishRaw(ctx, job.Subject(benchSource, strconv.FormatUint(n.Add(1), 10), job.Finished), data)
	}
}

// baseline brings up Echo and HMAC, and nothing else.
func (b *selfBench) baseline(_ context.Context, cfg *config.Config) (measured, error) {
	url, listener, err := listen(cfg, ceiling.New(b.verifier, nil))
	if err != nil {
		return measured{}, err
	}
	return measured{url, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), benchTimeout)
		defer cancel()
		return listener.Shutdown(ctx)
	}}, nil
}

// probe sends one callback to the receiver and returns how many bytes its event has
// beside the body.
func (b *selfBench) probe(ctx context.Context) (int, error) {
	cfg, err := b.config(b.folder, config.SyncInterval)
	if err != nil {
		return 0, err
	}
	in, err := service.Start(ctx, cfg, zerolog.Nop())
	if err != nil {
		return 0, err
	}
	l := b.load
	l.URL, l.Connections, l.Prime, l.Warmup = in.PublicURL()+"/callbacks/"+benchSource, 1, 1, 0
	g, err := bench.Start(ctx, l)
	if err != nil {
		return 0, errors.Join(err, in.Stop())
	}
	g.Close()
	size := 0
	for m, err := range in.Store().Messages(ctx, publish.Watch{Subjects: []string{job.Pattern(benchSource, "", job.Finished)}}) {
		if err != nil {
			return 0, errors.Join(err, in.Stop())
		}
		for name, values := range m.Header {
			for _, v := range values {
				size += len(name) + len(": ") + len(v) + len("\r\n")
			}
		}
	}
	return size, in.Stop()
}
