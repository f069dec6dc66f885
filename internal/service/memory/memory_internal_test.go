package memory

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/config"
)

// Bodies take a quarter of the memory at most, and the collector leaves space for them.
func TestMemoryOf(t *testing.T) {
	const mib = config.ByteSize(1 << 20)
	for _, tt := range []struct {
		memory, bodies, body, want config.ByteSize
	}{
		{0, 256 * mib, 8 * mib, 0}, // by this machine, whatever that has
		{4096 * mib, 256 * mib, 8 * mib, 256 * mib},
		{1024 * mib, 256 * mib, 8 * mib, 256 * mib},
		{768 * mib, 256 * mib, 8 * mib, 192 * mib},
		{128 * mib, 256 * mib, 63 * mib, 63 * mib}, // else no such body would be taken
		{math.MaxInt64, config.ByteSize(1 << 40), 8 * mib, 1 << 40},
	} {
		cfg := config.Default()
		cfg.Limits.Memory, cfg.Limits.Bodies, cfg.Limits.Body = tt.memory, tt.bodies, tt.body
		got := Of(&cfg)
		if tt.memory == 0 {
			if got.Total < 0 || got.Bodies <= 0 || got.Bodies > int64(tt.bodies) {
				t.Errorf("Of = %+v", got)
			}
			continue
		}
		if got.Total != int64(tt.memory) || got.Bodies != int64(tt.want) || got.heap <= 0 || got.heap > got.Total {
			t.Errorf("with %v of memory and limits.bodies %v: %+v, want bodies %v", tt.memory, tt.bodies, got, tt.want)
		}
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	cfg := config.Default()
	cfg.Limits.Memory = 1 << 30
	Limit(&cfg, zerolog.Nop())
	if got, m := debug.SetMemoryLimit(-1), Of(&cfg); got != m.heap {
		t.Errorf("the collector keeps to %d, want %d", got, m.heap)
	}
}
