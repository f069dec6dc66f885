package poll_test

import (
	"testing"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
)

func TestShow(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	publishAll(t, bus, submitted("1"), submitted("2"), callback(t, job.Finished, `{"id":"2","status":"COMPLETED"}`))
	for _, id := range []string{"1", "2", "3"} {
		if _, err := bus.PutWatch(t.Context(), job.Watch{Source: "demo", Job: id, Looks: 3, Error: "503"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		id      string
		state   joblist.State
		watched bool
	}{{"1", joblist.Submitted, true}, {"2", joblist.Finished, false}, {"3", "", true}, {"4", "", false}} {
		j, err := poll.Show(t.Context(), bus, bus, "demo", tt.id)
		if err != nil || j.State != tt.state || (j.Watch != nil) != tt.watched || tt.watched && (j.Watch.Error != "503" || j.View.ID != tt.id) {
			t.Errorf("Show(%s) = %+v, %v, want state %q, watched %v", tt.id, j, err, tt.state, tt.watched)
		}
	}
}
