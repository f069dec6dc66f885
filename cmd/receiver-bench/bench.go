package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/bench"
	"receiver/internal/config"
)

// benchFlags are the flags.
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
		Use:   "receiver-bench {--self | --url URL --source S --key-file FILE}",
		Short: "Measure the throughput and latency of a receiver",
		Long: `receiver-bench sends signed callbacks for invented jobs, and prints requests per second and
latencies. With --url it sends to a running receiver on this machine. Use a receiver for tests:
the events stay in its store.

With --self it compares the receiver with a ceiling, in turns, each on a new store. The ceiling is
the smallest Echo handler that reads a body, computes its HMAC, and waits for one acknowledged
publish of the same size; for refusals it does not publish. Compare the ratios of one run: the
absolute figures depend on the machine and the moment. With --sealing it measures the cost of
sealing instead: the receiver with sealed streams against the receiver without.

Each connection sends its next request after the response to the last one (closed loop). With
--rate, requests become due by the clock (open loop). A request that waits for a free connection is
timed from the moment when it became due, so one slow response cannot hide the wait of others.

Results go to standard output; messages go to standard error.

Exit codes: 0 done; 1 failed; 2 wrong usage.`,
		Example: "  receiver-bench --self\n" +
			"  receiver-bench --self --sync always --alternations 9 --json\n" +
			"  receiver-bench --self --sealing --duration 5s --alternations 15\n" +
			"  receiver-bench --url http://127.0.0.1:8080 --source demo --key-file signature.key \\\n" +
			"    --rate 2000 --duration 30s --duplicates 0.1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q is not a flag; see `receiver-bench --help`", args[0])
			}
			return nil
		},
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), cmd, f) },
	}
	cmd.SetOut(a.out)
	cmd.SetErr(a.talk)
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%w; see `receiver-bench --help`", err)
	})
	cmd.CompletionOptions.DisableDefaultCmd = true
	f.add(cmd.Flags())
	return cmd
}

func (f *benchFlags) add(fl *pflag.FlagSet) {
	fl.BoolVar(&f.self, "self", false, "compare the receiver, in this process, with the ceiling")
	fl.BoolVar(&f.sealing, "sealing", false, "measure the cost of sealing for accepted callbacks; with --self")
	fl.StringVar(&f.url, "url", "", "address of a receiver's public listener on this machine")
	fl.StringVar(&f.source, "source", "", "source of the callbacks; with --url")
	fl.StringVar(&f.keyFile, "key-file", "", "file with the signature key of the source; with --url")
	fl.IntVar(&f.load.Connections, "connections", 64, "number of connections")
	fl.Float64Var(&f.load.Rate, "rate", 0, "requests per second; 0 sends as fast as responses come")
	fl.DurationVar(&f.load.Duration, "duration", 2*time.Second, "duration of each measurement")
	fl.IntVar(&f.load.Body, "body", 246, "size of a body in bytes")
	fl.IntVar(&f.load.LargeBody, "large-body", 1<<20, "size of a large body in bytes")
	fl.Float64Var(&f.load.Duplicates, "duplicates", 0, "share of repeated callbacks, 0 to 1; with --url")
	fl.Float64Var(&f.load.Refusals, "refusals", 0, "share of callbacks with a wrong signature, 0 to 1; with --url")
	fl.Float64Var(&f.load.Large, "large", 0, "share of large bodies among the others, 0 to 1; with --url")
	fl.Uint64Var(&f.load.Seed, "seed", 0, "seed of the job ids and of the order (default: random)")
	fl.IntVar(&f.alternations, "alternations", 5, "number of turns; with --self")
	fl.StringSliceVar(&f.sync, "sync", []string{"always", "interval"}, "values of nats.sync to measure; with --self")
	fl.StringVar(&f.folder, "folder", "", "folder for the temporary stores; with --self\n(default: the system's temporary folder)")
	fl.StringVar(&f.profile, "profile", "", "folder for new profiles for go tool pprof, which replace\nearlier ones and slow the run a little; with --self")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	fl.BoolVar(&f.generator, "generator", false, "be the generator of another receiver-bench")
	_ = fl.MarkHidden("generator") // it exists
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
		return usagef("give --self, or --url, --source and --key-file; see `receiver-bench --help`")
	}
	key, err := config.ReadSecretFile(f.keyFile)
	if err != nil {
		return usageError{err}
	}
	f.load.Key = key.Bytes()
	if f.load.URL, err = url.JoinPath(f.url, "callbacks", f.source); err != nil {
		return usagef("--url: %w", err)
	}
	if err := f.load.Check(); err != nil {
		return usageError{err}
	}
	a.say("sending to %s for %v, seed %d; Ctrl-C stops and prints the results so far", f.load.URL, f.load.Warmup+f.load.Duration, f.load.Seed)
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
		return json.NewEncoder(a.out).Encode(r)
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
	return a.table([]string{"FIGURE", "VALUE"}, rows)
}
