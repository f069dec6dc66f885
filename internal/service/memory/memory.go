// Package memory decides how much memory a receiver may take, and has Go's garbage collector keep
// to it. It measures nothing of what the receiver does.
package memory

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"

	"receiver/internal/config"
)

// Budget is how much memory the process may take, in bytes, and what of it is for what.
type Budget struct {
	Total  int64 // zero if not known
	From   string
	Bodies int64 // of callbacks that come
	heap   int64 // the limit for Go's garbage collector; zero leaves it as it is
}

// Of finds out how much memory there is: by the configuration, by the environment, by
// the cgroup with all that it is in, or by the machine.
func Of(cfg *config.Config) Budget {
	m := Budget{Bodies: int64(cfg.Limits.Bodies)}
	system := func(limit func() (uint64, error)) int64 {
		n, err := limit()
		if err != nil || n == 0 || n > math.MaxInt64 {
			return math.MaxInt64
		}
		return int64(n)
	}
	machine, cgroup := system(memlimit.FromSystem), system(memlimit.FromCgroup)
	inherited := goMemoryLimit()
	switch {
	case cfg.Limits.Memory > 0:
		m.Total, m.From = int64(cfg.Limits.Memory), "limits.memory"
	case inherited < math.MaxInt64:
		m.Total, m.From = inherited, "GOMEMLIMIT"
	case cgroup < machine:
		m.Total, m.From = cgroup, "the cgroup"
	case machine < math.MaxInt64:
		m.Total, m.From = machine, "the machine"
	default:
		return m
	}
	// A body is copied on its way to the store, and so is what it waits in.
	m.Bodies = min(m.Bodies, max(m.Total/4, int64(cfg.Limits.Body)))
	if m.From != "GOMEMLIMIT" {
		// Bodies that are coming in lie outside of what the collector knows of.
		m.heap = max(m.Total/10*9-m.Bodies/4*5, m.Total/4)
	}
	return m
}

// goMemoryLimit is what GOMEMLIMIT said at the start of the process, whatever was set since.
var goMemoryLimit = func() func() int64 {
	limit := debug.SetMemoryLimit(-1)
	return func() int64 { return limit }
}()

// Limit makes the garbage collector keep to the limit, and says so.
func Limit(cfg *config.Config, log zerolog.Logger) {
	m := Of(cfg)
	if m.heap > 0 {
		debug.SetMemoryLimit(m.heap)
	}
	log.Info().Int64("limit", m.Total).Str("set_by", m.From).Int64("bodies", m.Bodies).Int64("heap", debug.SetMemoryLimit(-1)).Msg("the receiver set its memory limit")
}
