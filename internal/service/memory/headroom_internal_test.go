package memory

import "testing"

func TestGarbageTakesLittleBesideALongList(t *testing.T) {
	const mib = 1 << 20
	for _, row := range []struct {
		what            string
		live, allocated uint64
		want            int
	}{
		{"at the start", 0, 0, 100},
		{"idle and empty", 4 * mib, 0, 100},
		{"an empty store under full load", 30 * mib, 300 * mib, 100},
		{"300,000 jobs, 500 callbacks a second", 120 * mib, 15 * mib, 25},
		{"300,000 jobs under full load", 120 * mib, 300 * mib, 100},
		{"a million jobs, idle", 300 * mib, 0, 10},
		{"a million jobs, 500 callbacks a second", 300 * mib, 15 * mib, 10},
		{"a million jobs, 5,000 callbacks a second", 300 * mib, 120 * mib, 80},
	} {
		if got := gcPercent(row.live, row.allocated); got != row.want {
			t.Errorf("%s: gcPercent = %d, want %d", row.what, got, row.want)
		}
	}
}
