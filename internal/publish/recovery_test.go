package publish_test

import (
	"fmt"
	"strings"
	"testing"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// After a kill the log has one line about the recovery, and after a clean stop none.
func TestARecoveryIsOneLine(t *testing.T) {
	t.Parallel()
	folder, killed := t.TempDir(), t.TempDir()
	run := func(folder string, events int, copied string) string {
		said := &natstest.Logs{}
		e := natstest.Embedded(folder)
		e.Log = said.Logger()
		s, err := natsserver.Start(e)
		natstest.Must(t, err)
		defer s.Stop()
		b, err := publish.Open(t.Context(), s, conn.Options{})
		natstest.Must(t, err)
		for i := range events {
			natstest.Store(t, b, natstest.Sized(job.Finished, fmt.Sprint(len(copied), i), 100))
		}
		if copied != "" {
			natstest.CopyLive(t, folder, copied)
		}
		natstest.Must(t, b.Close(t.Context()))
		return said.String()
	}
	run(folder, 3, "")
	run(folder, 3, killed)
	for _, row := range []struct {
		name, folder string
		want         int
	}{{"a clean stop", folder, 0}, {"a kill", killed, 1}, {"the clean stop after that", killed, 0}} {
		text := run(row.folder, 0, "")
		if n := strings.Count(text, "the store was not closed cleanly; its messages were recovered"); n != row.want {
			t.Errorf("after %s the log has %d lines about a recovery, want %d", row.name, n, row.want)
		}
		if row.want > 0 && !strings.Contains(text, `"messages":6`) {
			t.Errorf("after %s the log does not say how many messages there are:\n%s", row.name, text)
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "nats-server") {
				t.Errorf("after %s the server's own warning is logged: %s", row.name, line)
			}
		}
	}
}
