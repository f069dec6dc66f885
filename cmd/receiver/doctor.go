package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/service"
)

// doctorTimeout is how long all checks take at most, unless something else is asked for.
const doctorTimeout = 10 * time.Second

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	strict   bool
	timeout  time.Duration
	monitors []string
}

func newDoctor(a *app) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find problems that would lose or refuse callbacks",
		Long: `doctor checks the configuration, the NATS server and its streams, the disk, the clocks, the files,
the callback addresses as seen from this machine, and the platform with the secrets of each
source. Each finding says what is the case, why it matters, and what to change. Checks that could
not be done are listed too.

With --url or --context the receiver checks itself, with the configuration in force.

doctor works with or without a running receiver, and with an external NATS. It changes nothing.
If no process has the store open, it reads the settings of the streams from the files and starts
no server. To measure fsync it writes a temporary file to the store's folder. Only the monitoring
ports of an external NATS say when it calls fsync: name them with --nats-monitor.

Exit codes: 0 no errors; 1 an error, or with --strict a warning; 2 wrong usage or configuration.`,
		Example: "  receiver doctor\n" +
			"  receiver doctor --strict -o json\n" +
			"  receiver doctor --nats-monitor http://n1:8222,http://n2:8222,http://n3:8222",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.diagnosis(cmd.Context(), f)
			if err == nil {
				err = a.show().Diagnosis(d)
			}
			if err == nil && (d.Worst == api.SeverityError || f.strict && d.Worst == api.SeverityWarning) {
				err = silentError{}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit 1 on warnings too")
	cmd.Flags().DurationVar(&f.timeout, "timeout", doctorTimeout, "timeout of all checks")
	cmd.Flags().StringSliceVar(&f.monitors, "nats-monitor", nil, "monitoring ports of an external NATS, such as\nhttp://host:8222")
	return cmd
}

// diagnosis has everything checked, here or by the receiver that is asked by HTTP.
func (a *app) diagnosis(ctx context.Context, f doctorFlags) (d api.Diagnosis, err error) {
	r, err := a.receiver()
	switch {
	case err != nil:
		return d, err
	case r != nil && (len(f.monitors) > 0 || f.timeout != doctorTimeout):
		return d, usagef("--timeout and --nats-monitor are for checks from this machine; leave them out with --url")
	case r != nil:
		return r.Doctor(ctx)
	}
	cfg, err := a.loadAll()
	if err != nil {
		return d, err
	}
	return service.Diagnosis(cfg, service.Examine(ctx, service.Examination{
		Config: cfg, Log: a.logger(cfg.Log).Level(zerolog.ErrorLevel), Monitors: f.monitors, Timeout: f.timeout,
	})), nil
}
