package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/bench"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	load         bench.Load
	self         bool
	sealing      bool
	generator    bool
	json         bool
	url          string
	source       string
	keyFile      string
	folder       string
	profile      string
	sync         []string
	alternations int
}

// The load's fixed parts.
const (
	benchPrime  = 512
	benchWarmup = 300 * time.Millisecond // or a quarter of the duration
)

func newBench(a *app) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench {--self | --url URL --source S --key-file FILE}",
		Short: "Put a load of signed callbacks on a receiver of this machine, and measure",
		Long: `bench sends signed callbacks for jobs that never were, and prints requests a second and
latencies. With --url it sends to a receiver that runs on this machine: the events stay in
its store, so take one that is for trying.

With --self it measures the receiver against the least that any receiver has to do, in
turns, each on a fresh store: the ceiling (the smallest Echo handler that reads a body,
computes its HMAC, and waits for one acknowledged publish of as many bytes), and for
refusals the same without the publish. Ratios of one turn are what counts; figures of one
machine at one moment are not. With --sealing it measures instead what sealing costs: the
receiver that seals its streams against the same one that does not.

Each connection sends its next request when it has its answer (closed loop). With --rate
requests fall due by the clock instead (open loop), and one that has to wait for a free
connection is timed from when it fell due, so that one slow answer hides no others.`,
		Example: "  receiver bench --self\n" +
			"  receiver bench --self --sync always --alternations 9 --json\n" +
			"  receiver bench --self --sealing --duration 5s --alternations 15\n" +
			"  receiver bench --url http://127.0.0.1:8080 --source demo --key-file signature.key --rate 2000 --duration 30s --duplicates 0.1",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.json = f.json || a.output == "json"
			return a.bench(cmd.Context(), cmd, f)
		},
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.self, "self", false, "measure the receiver in this program against its ceiling")
	fl.BoolVar(&f.sealing, "sealing", false, "measure what sealing costs accepted callbacks; with --self")
	fl.StringVar(&f.url, "url", "", "address of a receiver's public listener, on this machine")
	fl.StringVar(&f.source, "source", "", "source to call back as, with --url")
	fl.StringVar(&f.keyFile, "key-file", "", "file with that source's signature key")
	fl.IntVar(&f.load.Connections, "connections", 64, "connections that send at once")
	fl.Float64Var(&f.load.Rate, "rate", 0, "requests that fall due in a second; 0 means as fast as they are answered")
	fl.DurationVar(&f.load.Duration, "duration", 2*time.Second, "how long is measured, each time")
	fl.IntVar(&f.load.Body, "body", 246, "size of a body in bytes")
	fl.IntVar(&f.load.LargeBody, "large-body", 1<<20, "size of a large body in bytes")
	fl.Float64Var(&f.load.Duplicates, "duplicates", 0, "share of callbacks that came before, 0 to 1; with --url")
	fl.Float64Var(&f.load.Refusals, "refusals", 0, "share of callbacks that are not signed by the key, 0 to 1; with --url")
	fl.Float64Var(&f.load.Large, "large", 0, "share of the others that have a large body, 0 to 1; with --url")
	fl.Uint64Var(&f.load.Seed, "seed", 0, "seed of the jobs' ids and of what is sent when (default: one that was never used)")
	fl.IntVar(&f.alternations, "alternations", 5, "how often everything is measured; with --self")
	fl.StringSliceVar(&f.sync, "sync", []string{"always", "interval"}, "settings of nats.sync to measure under; with --self")
	fl.StringVar(&f.folder, "folder", "", "where the stores are made and removed again (default: the system's temporary folder); with --self")
	fl.StringVar(&f.profile, "profile", "", "folder to leave profiles in, for go tool pprof, in place of earlier ones (they cost a little); with --self")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	fl.BoolVar(&f.generator, "generator", false, "be the generator of another bench")
	_ = fl.MarkHidden("generator") // it exists
	return cmd
}

func (a *app) bench(ctx context.Context, cmd *cobra.Command, f benchFlags) error {
	if f.generator {
		return bench.Generate(ctx, a.in, a.out)
	}
	if !cmd.Flags().Changed("seed") {
		var random [8]byte
		_, _ = rand.Read(random[:]) // it never fails
		f.load.Seed = binary.BigEndian.Uint64(random[:])
	}
	f.load.Prime, f.load.Warmup = benchPrime, min(benchWarmup, f.load.Duration/4)
	if f.self {
		for _, name := range []string{"url", "source", "key-file", "duplicates", "refusals", "large"} {
			if cmd.Flags().Changed(name) {
				return usagef("--%s is for --url; --self measures each kind of callback by itself", name)
			}
		}
		return a.benchSelf(ctx, f)
	}
	return a.benchURL(ctx, f)
}

// benchURL puts load on a receiver that runs already.
func (a *app) benchURL(ctx context.Context, f benchFlags) error {
	if f.url == "" || f.source == "" || f.keyFile == "" {
		return usagef("say --self, or --url, --source and --key-file; see `receiver bench --help`")
	}
	key, err := keyFrom(f.keyFile)
	if err != nil {
		return err
	}
	f.load.Key = key
	if f.load.URL, err = url.JoinPath(f.url, "callbacks", f.source); err != nil {
		return usagef("--url: %w", err)
	}
	if err := f.load.Check(); err != nil {
		return usageError{err}
	}
	a.say("sending to %s for %v, seed %d; Ctrl-C ends it and prints what there is", f.load.URL, f.load.Warmup+f.load.Duration, f.load.Seed)
	g, err := bench.Start(ctx, f.load)
	if err != nil {
		return err
	}
	defer g.Close()
	r, err := g.Measure(ctx)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(a.out, r)
	}
	return a.printResult(r)
}

func (a *app) printResult(r bench.Result) error {
	rows := [][]string{
		{"requests", fmt.Sprintf("%d in %.2f s", r.Requests, r.Elapsed)},
		{"rate", fmt.Sprintf("%.0f requests/s", r.Rate)},
		{"latency", fmt.Sprintf("p50 %.3f, p99 %.3f, p99.9 %.3f, most %.3f ms", r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Latency.Max)},
		{"answers", fmt.Sprint(r.Answers)},
		{"not as expected", fmt.Sprintf("%d, and %d without an answer", r.Unexpected, r.Failed)},
		{"generator", fmt.Sprintf("%.3f CPU s for 1,000 requests", r.GeneratorCPU)},
	}
	if r.Behind > 0 {
		rows = append(rows, []string{"behind", fmt.Sprintf("%d fell due and were not sent: the rate is more than is borne", r.Behind)})
	}
	return table(a.out, []string{"FIGURE", "VALUE"}, rows)
}
