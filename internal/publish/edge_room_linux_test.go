package publish_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// The disk of an edge is its bound: what the hub does not have is never dropped for it. A
// callback that finds no room is refused, to be called again, and what waits still goes to
// the hub, also when the server had to be started again meanwhile.
func TestAFullDiskOfAnEdge(t *testing.T) {
	hub, _ := newHub(t)
	c := newCable(t, hub.leaves())
	r := newRim(t, "rim-1", c.addr())
	r.stop()
	r.e.Folder, r.e.SyncAlways = smallDisk(t, 32<<20), true
	r.start()
	defer func() { r.stop() }() // before its disk goes
	r.forward()
	c.set(true)
	acknowledged := 0
	one := func(id string) error {
		e := called(job.Finished, id, "COMPLETED")
		e.Data = append(e.Data, make([]byte, 20<<10)...)
		_, err := r.Publish(t.Context(), e)
		if err == nil {
			acknowledged++
		}
		return err
	}
	for i := range 50 {
		if err := one(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	look := publish.LookAway(r.server)
	file := ballast(t, r.e.Folder, 10<<10)
	for i := range 1 {
		if err := one(fmt.Sprint("full-", i)); !errors.Is(err, publish.ErrUnavailable) {
			t.Errorf("Publish on a full disk = %v, want ErrUnavailable", err)
		}
	}
	look()
	eventually(t, "the full disk to be seen", func() bool { return r.server.Room().Full != nil })
	c.set(false)
	eventually(t, "what waits to be at the hub", func() bool { return hub.holds(publish.JobsStream, "jobs.demo.*.finished") == 50 })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writing to go on", func() bool { return one("after") == nil })
	for i := range 1 {
		if err := one(fmt.Sprint("full-", i)); err != nil {
			t.Errorf("a callback that comes again = %v", err)
		}
	}
	r.drained()
	if got := hub.holds(publish.JobsStream, "jobs.demo.*.finished"); got != acknowledged {
		t.Errorf("the hub holds %d events of %d that were acknowledged", got, acknowledged)
	}
	if got := r.server.Room().Restarts; got != 1 {
		t.Errorf("the server was started again %d times, want 1: the test is to see that, too", got)
	}
}
