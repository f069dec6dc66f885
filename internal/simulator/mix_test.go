package simulator_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"receiver/internal/simulator"
)

// Every fault at once, from many callers: whatever the faults of a job, a receiver that refuses
// wrong signatures learns its true outcome, unless the dials say never.
func TestEveryFaultTogether(t *testing.T) {
	r := start(t, simulator.Options{Seed: 3, Faults: simulator.Faults{Mix: simulator.EveryFault()}})
	var mu sync.Mutex
	heard := map[string][]string{} // authentic statuses by job id
	r.hook.answers(func(_ int, c callback) int {
		if !c.signedWith(key) {
			return 401
		}
		var body struct {
			ID                any
			Status, JobStatus string
		}
		d := json.NewDecoder(strings.NewReader(string(c.body)))
		d.UseNumber()
		if err := d.Decode(&body); err != nil {
			t.Errorf("authentic callback %q: %v", c.body, err)
		}
		id, _ := json.Marshal(body.ID)
		mu.Lock()
		defer mu.Unlock()
		name := strings.Trim(string(id), `"`)
		heard[name] = append(heard[name], body.Status+body.JobStatus)
		return 200
	})
	const posts = 160
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range posts / 8 {
				body, kind := form("file", "rows.csv", goodRows)
				_, _ = r.try("POST", "/bulk/contact", body, kind, "Elements-Async-Callback-Url: "+r.hook.url)
			}
		})
	}
	wg.Wait()
	r.quiet()
	jobs := r.Jobs()
	drawn := map[string]bool{}
	for _, j := range jobs {
		drawn[j.Faults.String()] = true
		said := strings.Join(heard[j.ID], " ")
		if j.Faults.Callback.Mode == "never" {
			if said != "" {
				t.Errorf("job %s was never to be called back, heard %s", j.ID, said)
			}
		} else if !strings.Contains(said, j.Status) {
			t.Errorf("job %s (%s) ended %s, heard %q", j.ID, j.Faults, j.Status, said)
		}
	}
	if len(jobs) < posts/2 || len(jobs) == posts || len(drawn) < 25 {
		t.Errorf("%d POSTs made %d jobs with %d different faults", posts, len(jobs), len(drawn))
	}
}
