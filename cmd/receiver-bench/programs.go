package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"receiver/internal/audit/logkey"
	"receiver/internal/bench"
	"receiver/internal/bench/ceiling"
	"receiver/internal/cluster"
)

// asProgram is in the environment of this program where it is one of those beside the receiver.
const asProgram = "RECEIVER_BENCH_PROGRAM"

// Those programs.
const (
	asServer  = "nats-server"
	asHandler = "handler"
)

// be is one of them, and returns the exit code.
func be(program string) int {
	if program == asServer {
		return cluster.Main()
	}
	var o ceiling.Options
	err := json.Unmarshal([]byte(os.Args[1]), &o)
	if err == nil {
		err = ceiling.Serve(context.Background(), o)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
	return 1
}

// itself is this program as another, with these arguments. It gets nothing of the environment: that
// is the same on every machine.
func (b *selfBench) itself(as string, args ...string) bench.Program {
	return bench.Program{Args: append([]string{b.self}, args...), Env: []string{asProgram + "=" + as}}
}

// run returns a function that starts a subject with its servers on a new folder, measures it once,
// and stops all.
func (b *selfBench) run(s subject) func(context.Context) (bench.Sample, error) {
	return func(ctx context.Context) (sample bench.Sample, err error) {
		folder, err := os.MkdirTemp(b.folder, "")
		if err != nil {
			return sample, fmt.Errorf("making a folder for the store: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
		c, servers, err := b.servers(ctx, s, folder)
		defer func() {
			for _, s := range servers {
				s.Stop()
			}
		}()
		if err != nil {
			return sample, err
		}
		program, address, err := b.program(ctx, s, folder, c)
		if err != nil {
			return sample, err
		}
		program.Log = filepath.Join(folder, "log")
		p, err := program.Start(ctx)
		if err != nil {
			return sample, err
		}
		defer p.Stop()
		l := b.load
		l.URL, l.Prime = address, 1
		if s.program == refused || s.program == hmacOnly {
			l.Refusals, l.Prime = 1, 0 // refusals give way beside accepted callbacks
		}
		return bench.Measure(ctx, l, p, servers...)
	}
}

// servers starts the NATS servers beside a subject. It returns them with an error, too.
func (b *selfBench) servers(ctx context.Context, s subject, folder string) (c *cluster.Cluster, servers []*bench.Process, err error) {
	o := cluster.Options{Folder: folder, Size: 1, Plain: true, SyncAlways: s.store == externalAlways}
	switch s.store {
	case external, externalAlways:
		if s.program == peer {
			o.Client = b.peer.nats
		}
	case cluster3:
		o.Size = 3
	default:
		return &cluster.Cluster{}, nil, nil
	}
	if c, err = cluster.Make(o); err != nil {
		return nil, nil, err
	}
	programs := make([]bench.Program, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		p := b.itself(asServer, n.Args()...)
		p.Log, p.Ready = filepath.Join(folder, n.Name+".log"), n.Monitor+"/varz"
		programs = append(programs, p)
	}
	for _, p := range programs {
		server, err := p.Start(ctx)
		if err != nil {
			return nil, servers, err
		}
		servers = append(servers, server)
	}
	for i, n := range c.Nodes { // all have been started: they need each other
		if err := servers[i].Ready(ctx, n.Monitor+"/healthz"); err != nil {
			return nil, servers, fmt.Errorf("waiting for %s: %w", n.Name, err)
		}
	}
	return c, servers, nil
}

// program returns how a subject is started, and where callbacks are posted to.
func (b *selfBench) program(ctx context.Context, s subject, folder string, c *cluster.Cluster) (p bench.Program, address string, err error) {
	if s.program == peer {
		p := bench.Program{Args: []string{b.peer.path, "-c", b.peer.config}, Env: os.Environ(), Ready: b.peer.url}
		return p, b.peer.url, ceiling.MakeStream(ctx, c.Nodes[0].URL)
	}
	public, err := freeAddress()
	if err != nil {
		return p, "", err
	}
	address = "http://" + public + "/callbacks/" + benchSource
	if s.program == bare || s.program == hmacOnly {
		o, err := json.Marshal(ceiling.Options{
			Listen: public, Key: string(b.load.Key), URLs: c.URLs(), Replicas: max(1, len(c.Nodes)),
			Folder: filepath.Join(folder, "store"), SyncAlways: s.store == always, Refuse: s.program == hmacOnly,
		})
		p = b.itself(asHandler, string(o))
		p.Ready = address
		return p, address, err
	}
	private, err := freeAddress()
	if err != nil {
		return p, "", err
	}
	file := filepath.Join(folder, "config.yaml")
	text, err := b.config(s, c, public, private)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	// Its environment is empty: that is the same on every machine.
	p = bench.Program{Args: []string{b.receiver, "--config", file, "serve"}, Env: []string{}, Ready: "http://" + private + "/readyz"}
	return p, address, err
}

// config is the configuration of a receiver.
func (b *selfBench) config(s subject, c *cluster.Cluster, public, private string) (string, error) {
	nats := fmt.Sprintf("nats: {sync: %s, embedded: {folder: store, address: \"127.0.0.1:0\"}}\n", s.store)
	if len(c.Nodes) > 0 {
		nats = c.Settings(len(c.Nodes), c.URLs()...)
	}
	if s.program == sealed {
		key, err := logkey.Generate("receiver")
		if err != nil {
			return "", err
		}
		nats += "audit: {key: " + strconv.Quote(key.Secret()) + "}\n"
	}
	return fmt.Sprintf(`sources:
  %s:
    base_url: http://127.0.0.1:1/elements/api-v2
    hub: none
    element_token: none
    user_secret: none
    signature_keys: [{name: bench, value: %q}]
public: {address: %q}
private: {address: %q}
`, benchSource, string(b.load.Key), public, private) + nats, nil
}

// freeAddress is an address on which nothing listens.
func freeAddress() (string, error) {
	port, err := cluster.FreePort()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
