package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/doctor"
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
		Short: "Look for what would lose or refuse callbacks, before it does",
		Long: `doctor looks at the configuration, the NATS server and its streams, the disk, the clocks,
the files, the callback addresses as seen from here, and the platform with each source's
secrets. Each finding says what is so, why it matters, and the line to change; what could
not be looked at is said too.

It works while a receiver runs, before one does, and with an external NATS. It changes
nothing: on a store that nobody has open it reads how the streams are configured and
starts no server. In the store's folder it writes a file for a moment, to time fsync.
Ordinary clients cannot ask a NATS cluster when it calls fsync: name the monitoring ports
of its servers for that.

Exit codes: 0 nothing worse than a warning, 1 an error, or with --strict a warning.`,
		Example: "  receiver doctor\n" +
			"  receiver doctor --strict -o json\n" +
			"  receiver doctor --nats-monitor http://n1:8222,http://n2:8222,http://n3:8222",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			x := examination{cfg: cfg, log: a.logger(cfg.Log).Level(zerolog.ErrorLevel), monitors: f.monitors}
			findings := doctor.Run(cmd.Context(), f.timeout, x.all())
			doctor.Sort(findings)
			if err := a.printFindings(cfg, findings); err != nil {
				return err
			}
			if worst := doctor.Worst(findings); worst == doctor.Error || f.strict && worst == doctor.Warning {
				return silentError{}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit 1 for a warning too")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to look at most")
	cmd.Flags().StringSliceVar(&f.monitors, "nats-monitor", nil, "monitoring ports of an external NATS, such as http://host:8222")
	return cmd
}

// warn logs what is known to be wrong before anything is asked over the network.
func warn(ctx context.Context, cfg *config.Config, log zerolog.Logger) {
	x := examination{cfg: cfg, log: log}
	for _, f := range doctor.Run(ctx, time.Second, x.quick()) {
		if f.Severity >= doctor.Warning {
			log.Warn().Str("check", f.Check).Str("finding", f.What).Str("change", change(cfg, f)).
				Msg("worth mending; `receiver doctor` says why")
		}
	}
}

// change is what to change, and where.
func change(cfg *config.Config, f doctor.Finding) string {
	if f.Setting == "" || f.Change == "" {
		return f.Change
	}
	return fmt.Sprintf("%s, %s: %s", where(cfg, f), parent(f.Setting), f.Change)
}

// where is the line of a setting; empty for what is not in the configuration.
func where(cfg *config.Config, f doctor.Finding) string {
	if f.Setting == "" {
		return ""
	}
	return cmp.Or(config.Where(config.Options{Path: cfg.File, Env: os.Environ()}, f.Setting), "the configuration")
}

// parent is the section that a setting stands in; the line to change names the setting.
func parent(setting string) string {
	if i := strings.LastIndexByte(setting, '.'); i > 0 {
		return setting[:i]
	}
	return setting
}

// told is a finding as JSON.
type told struct {
	doctor.Finding
	Where string `json:"where,omitempty"`
}

func (a *app) printFindings(cfg *config.Config, findings []doctor.Finding) error {
	counts := map[doctor.Severity]int{}
	all := make([]told, 0, len(findings))
	for _, f := range findings {
		counts[f.Severity]++
		all = append(all, told{f, where(cfg, f)})
	}
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"worst": doctor.Worst(findings), "findings": all})
	}
	for _, f := range findings {
		for i, line := range [][2]string{{f.Check, f.What}, {"why", f.Why}, {"change", change(cfg, f)}} {
			if line[1] == "" {
				continue
			}
			severity := ""
			if i == 0 {
				severity = f.Severity.String()
			}
			if _, err := fmt.Fprintf(a.out, "%-8s %-10s %s\n", severity, line[0], printable(line[1])); err != nil {
				return err
			}
		}
	}
	a.say("%d errors, %d warnings, %d notes", counts[doctor.Error], counts[doctor.Warning], counts[doctor.Note])
	return nil
}
