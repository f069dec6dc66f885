package traffic

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
)

// A change of keys is known by what was in force before, however long ago that was put into force.
func TestKeysFromBeforeTheMarks(t *testing.T) {
	t.Parallel()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	act := func(what string, keys ...string) {
		details, err := json.Marshal(map[string]any{"keys": keys})
		natstest.Must(t, err)
		_, err = bus.Act(t.Context(), job.Action{What: what, Time: time.Now(), Details: details})
		natstest.Must(t, err)
	}
	act(job.ActionStart, "demo/gone x")
	act(job.ActionReload, "demo/old a")
	act(job.ActionUse)
	between := time.Now()
	act(job.ActionReload, "demo/new b")
	var m marks
	natstest.Must(t, m.follow(t.Context(), bus, between.Add(horizon)))
	if len(m.all) != 1 || m.all[0].Kind != keysChanged || !slices.Equal(m.all[0].Added, []string{"demo/new b"}) || !slices.Equal(m.all[0].Removed, []string{"demo/old a"}) {
		t.Errorf("%+v", m.all)
	}
	natstest.Must(t, m.follow(t.Context(), bus, time.Now().Add(horizon)))
	act(job.ActionStart, "demo/new b")
	natstest.Must(t, m.follow(t.Context(), bus, time.Now()))
	if len(m.all) == 0 || m.all[len(m.all)-1].Kind != job.ActionStart || m.all[len(m.all)-1].Added != nil {
		t.Errorf("%+v", m.all)
	}
}

// A crash loop makes no more marks than there are minutes, and no mark names more than some keys.
func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	var m marks
	began := time.Now().Truncate(time.Minute)
	for i := range 6000 {
		keys := []string{time.Duration(i).String()}
		details, _ := json.Marshal(map[string]any{"keys": keys})
		m.add(job.Action{What: []string{job.ActionStart, job.ActionReload}[i%2], Details: details}, began.Add(time.Duration(i)*time.Second))
	}
	if len(m.all) != 200 {
		t.Errorf("%d marks for 100 minutes", len(m.all))
	}
	for _, a := range m.all {
		if a.Count > 30 || len(a.Added) > mostKeys || len(a.Removed) > mostKeys {
			t.Errorf("%+v", a)
		}
	}
}
