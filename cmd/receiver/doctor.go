package main

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/plain"
	"receiver/internal/service"
)

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
			cfg, err := a.loadAll()
			if err != nil {
				return err
			}
			findings := service.Examine(cmd.Context(), service.Examination{
				Config: cfg, Log: a.logger(cfg.Log).Level(zerolog.ErrorLevel), Monitors: f.monitors, Timeout: f.timeout,
			})
			if err := a.printFindings(cfg, findings); err != nil {
				return err
			}
			if worst := doctor.Worst(findings); worst == doctor.Error || f.strict && worst == doctor.Warning {
				return silentError{}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit 1 on warnings too")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "timeout of all checks")
	cmd.Flags().StringSliceVar(&f.monitors, "nats-monitor", nil, "monitoring ports of an external NATS, such as\nhttp://host:8222")
	return cmd
}

// colours are those of findings on a terminal.
var colours = map[doctor.Severity]plain.Colour{doctor.OK: plain.Green, doctor.Warning: plain.Yellow, doctor.Error: plain.Red}

func (a *app) printFindings(cfg *config.Config, findings []doctor.Finding) error {
	if a.output == "json" {
		return printJSON(a.out, service.Diagnosis(cfg, findings))
	}
	for _, f := range findings {
		for i, line := range [][2]string{{f.Check, f.What}, {"why", f.Why}, {"change", service.Remedy(cfg, f)}} {
			if line[1] == "" {
				continue
			}
			severity, colour := "", plain.NoColour
			if i == 0 {
				severity, colour = f.Severity.String(), colours[f.Severity]
			}
			if err := plain.Paint(a.out, colour, fmt.Sprintf("%-8s", severity)); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(a.out, " %-10s %s\n", line[0], printable(line[1])); err != nil {
				return err
			}
		}
	}
	a.say("%s", doctor.Summary(findings))
	return nil
}
