package archiving_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"receiver/internal/config"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// TestAFullDiskCostsNoArchive holds that an export that does not fit leaves nothing behind and
// records nothing, and that the next one has all records.
func TestAFullDiskCostsNoArchive(t *testing.T) {
	w := newWorld(t)
	w.folder = natstest.SmallDisk(t, 4<<20)
	w.cfg.Audit.Export.Folder = config.Path(w.folder)
	ballast := natstest.Ballast(t, w.folder, 16<<10)
	w.more(t, 200)
	w.run(t, func() bool { return strings.Contains(w.log.String(), "no space left on device") })
	if got := w.archives(t); len(got) != 1 || len(w.exports(t)) != 0 {
		t.Errorf("the folder has %v, recorded is %v, want the ballast alone", got, w.exports(t))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.run(t, func() bool { return len(w.exports(t)) == 1 })
	if got := w.ranges(t, conn.JobsStream); !slices.Equal(got, []string{"1-200"}) || !w.verified(t).OK {
		t.Errorf("exported of JOBS %v", got)
	}
}
