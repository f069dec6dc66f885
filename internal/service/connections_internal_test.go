package service

import (
	"strings"
	"testing"

	"receiver/internal/config"
	"receiver/internal/doctor"
)

// However few files may be open, connections leave some of them to the store.
func TestConnectionsLeaveFilesToTheStore(t *testing.T) {
	for _, tt := range []struct {
		files    int
		memory   int64
		external bool
		set      int
		want     connections
	}{
		{1024, 8 << 30, false, 0, connections{1024, 512, 64, 128, 256}},
		{4096, 8 << 30, false, 0, connections{4096, 2560, 256, 512, 512}},
		{4096, 8 << 30, true, 0, connections{4096, 3072, 256, 0, 512}},
		{256, 8 << 30, false, 0, connections{256, 128, 16, 32, 64}},
		{1 << 20, 8 << 30, false, 0, connections{1 << 20, 16384, 512, 1024, 1024}},
		{1 << 20, 512 << 20, false, 0, connections{1 << 20, 2048, 512, 1024, 1024}},
		{0, 0, false, 0, connections{0, 16384, 512, 1024, 1024}},
		{1024, 8 << 30, false, 100, connections{1024, 100, 64, 128, 256}},
		{1024, 8 << 30, false, 5000, connections{1024, 512, 64, 128, 256}},
		{1 << 20, 8 << 30, false, 50_000, connections{1 << 20, 50_000, 512, 1024, 1024}},
	} {
		cfg := config.Default()
		cfg.Limits.Connections = tt.set
		if tt.external {
			cfg.NATS.Mode = config.ModeExternal
		}
		got := share(&cfg, tt.files, tt.memory)
		if got != tt.want {
			t.Errorf("of %d files: %+v, want %+v", tt.files, got, tt.want)
		}
		if tt.files > 0 && got.public+2*got.private+got.nats+got.reserve > tt.files {
			t.Errorf("of %d files: %+v are more", tt.files, got)
		}
		if tt.files == 0 {
			continue
		}
		f := got.findings(tt.set)[0]
		if tooMany := tt.set > got.public; (f.Setting == "limits.connections") != tooMany || tooMany && f.Severity < doctor.Warning || !strings.Contains(f.What, "reserved for the store") {
			t.Errorf("of %d files, limits.connections %d: the doctor says %+v", tt.files, tt.set, f)
		}
	}
}
