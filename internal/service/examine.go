package service

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/doctor"
)

// Examination is what to examine an installation with.
type Examination struct {
	Config *config.Config
	Log    zerolog.Logger
	// Monitors are monitoring ports of an external NATS.
	Monitors []string
	// Timeout bounds the whole of it.
	Timeout time.Duration
}

// Examine gathers the facts that the doctor judges, and returns what it finds.
func Examine(ctx context.Context, e Examination) []doctor.Finding {
	x := examiner{cfg: e.Config, log: e.Log, monitors: e.Monitors}
	findings := doctor.Run(ctx, e.Timeout, x.all())
	doctor.Sort(findings)
	return findings
}

// Warn logs what is known to be wrong before anything is asked over the network.
func Warn(ctx context.Context, cfg *config.Config, log zerolog.Logger) {
	x := examiner{cfg: cfg, log: log}
	for _, f := range doctor.Run(ctx, time.Second, x.quick()) {
		if f.Severity >= doctor.Warning {
			log.Warn().Str("check", f.Check).Str("finding", f.What).Str("remedy", Remedy(checked(cfg, f))).
				Msg("configuration problem; run receiver doctor for the reason")
		}
	}
}

// Remedy is what to change, and where.
func Remedy(f api.CheckFinding) string {
	if f.Setting == "" || f.Change == "" {
		return f.Change
	}
	return fmt.Sprintf("%s, %s: %s", f.Where, parent(f.Setting), f.Change)
}

// Where is the line of a setting; empty for what is not in the configuration.
func Where(cfg *config.Config, f doctor.Finding) string {
	if f.Setting == "" {
		return ""
	}
	return cmp.Or(config.Where(config.Options{Path: cfg.File, Env: os.Environ()}, f.Setting), "the configuration")
}

// parent is the section of a setting; the line to change names the setting.
func parent(setting string) string {
	if i := strings.LastIndexByte(setting, '.'); i > 0 {
		return setting[:i]
	}
	return setting
}
