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
	json         bool
	url          string
	source       string
	keyFile      string
	folder       string
	receiver     string
	peer         peerProgram
	lanes        []string
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

With --self it compares the receiver with other programs, in turns, each in a process of its own
on a new store. The bare handler is the smallest Echo handler that reads a body, computes its HMAC,
and waits for the acknowledgement of one publish of the body; Echo+HMAC does not publish. They and
the receiver store in their own process, at a NATS server in another, and at a cluster of three.
A peer is any program that takes callbacks and publishes them. Compare the ratios of one run: the
absolute figures depend on the machine and the moment.

  --lanes          compares, with a target
  always           embedded, nats.sync always: with the bare handler, and with interval
  interval         embedded, nats.sync interval: with the bare handler
  external         one NATS server with default settings: with the bare handler
  external-always  one that calls fsync before it acknowledges: with the bare handler
  cluster          three NATS servers, three replicas: with the bare handler
  peer             one NATS server: with the peer. It is started as "PEER -c FILE"; the server is
                   at --peer-nats, with a stream EVT of the subjects EVT.>; the signature key
                   is MySecretEventSignatureKey
  refused          wrong signatures: with Echo+HMAC
  sealing          the receiver with sealed streams: with the receiver without

Each connection sends its next request after the response to the last one (closed loop). With
--rate, requests become due by the clock (open loop). A request that waits for a free connection is
timed from the moment when it became due, so one slow response cannot hide the wait of others.

Results go to standard output; messages go to standard error.

Exit codes: 0 done; 1 failed; 2 wrong usage.`,
		Example: "  receiver-bench --self\n" +
			"  receiver-bench --self --lanes external,peer --peer bento --peer-config docs/performance/bento.yaml\n" +
			"  receiver-bench --self --lanes sealing --duration 5s --alternations 15 --json\n" +
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
	fl.BoolVar(&f.self, "self", false, "compare the receiver with other programs")
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
	fl.StringSliceVar(&f.lanes, "lanes", nil, "the comparisons to make; with --self\n(default: all but sealing, and peer if there is one)")
	fl.StringVar(&f.receiver, "receiver", "", "the receiver's program; with --self\n(default: built from the source tree around the working directory)")
	fl.StringVar(&f.peer.path, "peer", "", "a peer's program; with --self")
	fl.StringVar(&f.peer.config, "peer-config", "", "its configuration file")
	fl.StringVar(&f.peer.url, "peer-url", "http://127.0.0.1:20003/cb", "where it takes callbacks")
	fl.StringVar(&f.peer.nats, "peer-nats", "127.0.0.1:20222", "where it stores")
	fl.StringVar(&f.folder, "folder", "", "folder for the temporary stores; with --self\n(default: the system's temporary folder)")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
}

func (a *app) bench(ctx context.Context, cmd *cobra.Command, f benchFlags) error {
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
		{"generator", fmt.Sprintf("%.0f µs of CPU a request", r.GeneratorCPU)},
	}
	if r.Behind > 0 {
		rows = append(rows, []string{"behind", fmt.Sprintf("%d fell due and were not sent: the rate is more than is borne", r.Behind)})
	}
	return a.table([]string{"figure", "value"}, rows)
}
