package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/logging"
	"receiver/internal/simulator"
)

func newSimulate(a *app) *cobra.Command {
	var sourceName, address, faults string
	var scale float64
	var duration time.Duration
	var seed uint64
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a stand-in for the platform, for tests and try-outs",
		Long: `simulate runs a stand-in for SAP Open Connectors on a loopback address. With --source it
takes address, secrets and signature key from that source's configuration, whose
base_url must then be on loopback: the other commands work against it as they are.
Faults are ordered with --faults, or for one job by metaData {"simulate": {…}}.`,
		Example: "  receiver --config DIR/config.yaml simulate --source demo\n" +
			"  receiver simulate --source demo --time-scale 0.01 --faults 'callback=twice,http=429:2'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := simulator.ParseFaults(faults)
			if err != nil {
				return usagef("--faults: %w", err)
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			name, s, err := source(cfg, sourceName)
			if err != nil {
				return err
			}
			if address == "" {
				if address, err = loopbackOf(name, s); err != nil {
					return err
				}
			}
			log, written := lines(a.talk, cfg.Log)
			defer written.Close()
			o := simulated(s, log)
			o.TimeScale, o.JobDuration, o.Seed, o.Faults = scale, duration, seed, f
			p, err := startPlatform(address, o)
			if err != nil {
				return err
			}
			a.say("TEST platform of source %s on %s; stop it with Ctrl-C", name, p.url)
			<-cmd.Context().Done()
			return p.stop()
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "configured source to stand in for (may be left out if there is one only)")
	cmd.Flags().StringVar(&address, "address", "", "host:port to listen on (default: that of the source's base_url)")
	cmd.Flags().StringVar(&faults, "faults", "", "faults of every job, such as callback=never,status=ABORTED")
	cmd.Flags().Float64Var(&scale, "time-scale", 1, "what a second of the platform takes: 0.001 is a millisecond")
	cmd.Flags().DurationVar(&duration, "job-duration", 3*time.Second, "how long a job takes, before scaling")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of everything that is left to chance")
	return cmd
}

// loopbackOf returns host and port of the source's platform if that is on loopback.
func loopbackOf(name string, s config.Source) (string, error) {
	u, err := url.Parse(s.BaseURL)
	if err != nil || u.Scheme != "http" {
		return "", usagef("source %s is at %s, which is no loopback address; give --address", name, s.BaseURL)
	}
	return u.Host, nil
}

// simulated returns the options of a platform that a source's configuration fits.
func simulated(s config.Source, log zerolog.Logger) simulator.Options {
	o := simulator.Options{
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Hub: s.Hub, Log: log,
	}
	if len(s.SignatureKeys) > 0 {
		o.SignatureKey = s.SignatureKeys[0].Value.Reveal()
	}
	return o
}

// standIn is a simulated platform behind a listener.
type standIn struct {
	*simulator.Platform
	url    string
	server *http.Server
}

func startPlatform(address string, o simulator.Options) (*standIn, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening the simulated platform: %w", err)
	}
	p := simulator.New(o)
	s := &standIn{Platform: p, url: "http://" + ln.Addr().String() + simulator.Base}
	s.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second, ErrorLog: logging.Std(o.Log, "net/http")}
	go func() { _ = s.server.Serve(ln) }() // ends with stop
	return s, nil
}

func (s *standIn) stop() error {
	return errors.Join(s.server.Close(), s.Close())
}
