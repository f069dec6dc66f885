package service

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"

	"receiver/internal/config"
)

// memory is how much memory the process may take, and what of it is for what.
type memory struct {
	total  int64 // zero if not known
	from   string
	bodies int64 // of callbacks that come
	heap   int64 // the limit for Go's garbage collector; zero leaves it as it is
}

// memoryOf finds out how much memory there is: by the configuration, by the environment, by
// the cgroup with all that it is in, or by the machine.
func memoryOf(cfg *config.Config) memory {
	m := memory{bodies: int64(cfg.Limits.Bodies)}
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
		m.total, m.from = int64(cfg.Limits.Memory), "limits.memory"
	case inherited < math.MaxInt64:
		m.total, m.from = inherited, "GOMEMLIMIT"
	case cgroup < machine:
		m.total, m.from = cgroup, "the cgroup"
	case machine < math.MaxInt64:
		m.total, m.from = machine, "the machine"
	default:
		return m
	}
	// A body is copied on its way to the store, and so is what it waits in.
	m.bodies = min(m.bodies, max(m.total/4, int64(cfg.Limits.Body)))
	if m.from != "GOMEMLIMIT" {
		// Bodies that are coming in lie outside of what the collector knows of.
		m.heap = max(m.total/10*9-m.bodies/4*5, m.total/4)
	}
	return m
}

// goMemoryLimit is what GOMEMLIMIT said at the start of the process, whatever was set since.
var goMemoryLimit = func() func() int64 {
	limit := debug.SetMemoryLimit(-1)
	return func() int64 { return limit }
}()

// LimitMemory makes the garbage collector keep to the limit, and says so.
func LimitMemory(cfg *config.Config, log zerolog.Logger) {
	m := memoryOf(cfg)
	if m.heap > 0 {
		debug.SetMemoryLimit(m.heap)
	}
	log.Info().Int64("limit", m.total).Str("set_by", m.from).Int64("bodies", m.bodies).Int64("heap", debug.SetMemoryLimit(-1)).Msg("the receiver set its memory limit")
}
