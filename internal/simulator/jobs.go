package simulator

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// aboutJob finds the job of a request and lets its faults befall the answer first.
func (p *Platform) aboutJob(answer func(http.ResponseWriter, *http.Request, *job)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		j, ok := p.jobs[r.PathValue("id")]
		p.mu.Unlock()
		if !ok {
			p.refuse(w, http.StatusNotFound, "no such job")
			return
		}
		p.pause(r, j.faults.Slow)
		if !p.befall(w, &j.left, j.faults) {
			answer(w, r, j)
		}
	}
}

// getStatus says how the job stands. OC: (a) row 10
func (p *Platform) getStatus(w http.ResponseWriter, _ *http.Request, j *job) {
	p.mu.Lock()
	fields := j.fields(j.status, p.instance)
	p.mu.Unlock()
	p.write(w, http.StatusOK, p.object(fields))
}

// putCancel asks for the end of a job; one that has ended stays as it is. OC: (a) row 17
func (p *Platform) putCancel(w http.ResponseWriter, r *http.Request, j *job) {
	p.cancelJob(j)
	p.getStatus(w, r, j)
}

// getErrors lists the refused rows once the job has ended. OC: (a) row 15
func (p *Platform) getErrors(w http.ResponseWriter, r *http.Request, j *job) {
	p.mu.Lock()
	var texts []string
	if j.done() {
		texts = j.rows.errors
	}
	p.mu.Unlock()
	from, to, err := page(w, r, len(texts))
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	rows := make([]json.RawMessage, 0, to-from)
	for _, text := range texts[from:to] {
		if j.style.errorTexts {
			rows = append(rows, encoded(text))
		} else {
			rows = append(rows, p.object([]field{{"status", text}}))
		}
	}
	p.write(w, http.StatusOK, list(rows))
}

// getJobs lists jobs, newest first. OC: (a) row 18
func (p *Platform) getJobs(w http.ResponseWriter, r *http.Request) {
	want, err := parseWhere(r.URL.Query().Get("where"), "object_name", "job_status", "job_direction", "record_count")
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	found := p.find(want)
	from, to, err := page(w, r, len(found))
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	rows := make([]json.RawMessage, 0, to-from)
	for _, j := range found[from:to] {
		rows = append(rows, p.jobRow(j))
	}
	p.write(w, http.StatusOK, list(rows))
}

func (p *Platform) find(want map[string]string) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []*job
	for i := len(p.order) - 1; i >= 0; i-- {
		j := p.order[i]
		if matches(want, map[string]string{
			"object_name": j.object, "job_status": j.status, "job_direction": j.direction,
			"record_count": strconv.Itoa(j.rows.records),
		}) {
			found = append(found, j)
		}
	}
	return found
}

// jobRow writes one job of the list; the names of its id and status vary. OC: 5.4
func (p *Platform) jobRow(j *job) json.RawMessage {
	dice := p.dice()
	p.mu.Lock()
	fields := []field{
		{oneName(dice, "id", "job_id"), j.jsonID()},
		{oneName(dice, "status", "job_status", "bulk_status"), j.status},
		{"instanceId", p.instance},
		{"object_name", j.object},
		{"job_direction", j.direction},
		{"record_count", j.rows.records},
		{"error_count", j.rows.failed},
		{"fileFormat", j.rows.format},
		{"createdDate", j.created.UnixMilli()},
		{"notification_url", j.callback},
	}
	if j.done() {
		fields = append(fields, field{"completion_time", j.finished.UnixMilli()})
	}
	p.mu.Unlock()
	return render(dice, fields)
}

func oneName(dice *rand.Rand, names ...string) string { return names[dice.IntN(len(names))] }
