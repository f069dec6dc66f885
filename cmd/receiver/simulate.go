package main

import (
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
		Short: "Run a simulated platform for tests",
		Long: `simulate runs a simulation of SAP Open Connectors on a loopback address. It takes the address,
the secrets and the signature key from the configuration of --source. The base_url of that
source must be a loopback address. All other commands work against the simulation unchanged.

Faults are set for every job by --faults, or for one job by metaData {"simulate": {...}}.`,
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
			if err := simulable(s); err != nil {
				return err
			}
			if address == "" {
				if address, err = loopbackOf(name, s); err != nil {
					return err
				}
			}
			log, written := logging.Open(a.talk, cfg.Log.Level, cfg.Log.Format)
			defer written.Close()
			o := simulated(s, log)
			o.TimeScale, o.JobDuration, o.Seed, o.Faults = scale, duration, seed, f
			p, err := simulator.Listen(address, o)
			if err != nil {
				return err
			}
			a.say("TEST platform of source %s on %s; stop it with Ctrl-C", name, p.URL)
			<-cmd.Context().Done()
			return p.Close()
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "configured source to simulate (default: the only one)")
	cmd.Flags().StringVar(&address, "address", "", "host:port to listen on (default: that of the source's base_url)")
	cmd.Flags().StringVar(&faults, "faults", "", "faults of every job, such as callback=never,status=ABORTED")
	cmd.Flags().Float64Var(&scale, "time-scale", 1, "duration of one second of the platform, in seconds")
	cmd.Flags().DurationVar(&duration, "job-duration", 3*time.Second, "duration of a job, before --time-scale is applied")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the random numbers")
	return cmd
}

// loopbackOf returns host and port of the source's platform if that is on loopback.
func loopbackOf(name string, s config.Source) (string, error) {
	u, err := url.Parse(s.BaseURL)
	if err != nil || u.Scheme != "http" {
		return "", usagef("source %s is at %s, which is not a loopback address; give --address", name, s.BaseURL)
	}
	return u.Host, nil
}

// simulable returns why the simulation of a source cannot have its secrets.
func simulable(s config.Source) error {
	secrets := []config.Secret{s.ElementToken, s.UserSecret, s.OrganizationSecret}
	for _, k := range s.SignatureKeys[:min(len(s.SignatureKeys), 1)] {
		secrets = append(secrets, k.Value)
	}
	return config.Usable(secrets...)
}

// simulated returns the options of a platform that a source's configuration fits.
func simulated(s config.Source, log zerolog.Logger) simulator.Options {
	o := simulator.Options{
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Hub: s.Hub, Log: log, ErrorLog: logging.Std(log, "net/http"),
	}
	if len(s.SignatureKeys) > 0 {
		o.SignatureKey = s.SignatureKeys[0].Value.Reveal()
	}
	return o
}
