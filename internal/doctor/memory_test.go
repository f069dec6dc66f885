package doctor_test

import (
	"testing"

	"receiver/internal/doctor"
)

func TestMemory(t *testing.T) {
	of := func(total, bodies, used int64) []doctor.Finding {
		return doctor.Memory{Total: total << 20, By: "the cgroup", Bodies: bodies << 20, Used: used << 20}.Findings()
	}
	hold(t, []row{
		{"enough", of(868, 256, 217), doctor.OK, "868 MiB of memory (by the cgroup) are enough", ""},
		{"a container that is too small", of(512, 256, 128), doctor.Warning, "needs 868 MiB of memory at its peak, but only 512 MiB", "limits.bodies"},
		{"one for a single body", of(64, 32, 32), doctor.Warning, "needs 196 MiB", "limits.bodies"},
		{"not known", of(0, 256, 256), doctor.OK, "memory is unknown", ""},
	})
}
