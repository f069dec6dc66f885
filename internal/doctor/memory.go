package doctor

import "fmt"

// Memory is how much memory a receiver may take, in bytes.
type Memory struct {
	// Total is what it may take, and By who says so; zero if that is not known.
	Total int64
	By    string
	// Bodies is limits.bodies, and Used what is used of it.
	Bodies, Used int64
}

// The peak memory of a receiver: a multiple of the bodies under way, and a constant.
const (
	memoryTimes  = 3
	memoryBeside = 100 << 20
)

// Findings judge whether the bodies that may come in fit.
func (m Memory) Findings() []Finding {
	needed := m.Bodies*memoryTimes + memoryBeside
	mib := func(n int64) int64 { return n >> 20 }
	switch {
	case m.Total == 0:
		return []Finding{{What: fmt.Sprintf("the available memory is unknown; limits.bodies needs %d MiB at its peak", mib(needed))}}
	case m.Total >= needed:
		return []Finding{{What: fmt.Sprintf("%d MiB of memory (by %s) are enough for limits.bodies, which needs %d MiB at its peak", mib(m.Total), m.By, mib(needed))}}
	}
	f := Finding{
		Severity: Warning, Setting: "limits.bodies",
		What:   fmt.Sprintf("limits.bodies of %d MiB needs %d MiB of memory at its peak, but only %d MiB are available (by %s)", mib(m.Bodies), mib(needed), mib(m.Total), m.By),
		Why:    fmt.Sprintf("the receiver uses only %d MiB for bodies at once and answers 503 beyond that, so that the process is not killed", mib(m.Used)),
		Change: fmt.Sprintf("give the process %d MiB of memory, or limits.bodies: %dMiB", mib(needed), max(mib(m.Used), 1)),
	}
	if m.Used == m.Bodies {
		f.Why = "many large bodies at once may exceed the memory, and the process may be killed"
	}
	return []Finding{f}
}
