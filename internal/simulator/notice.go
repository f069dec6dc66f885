package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// fields is the status object of a job in the generation of names its dials ask for; the callback's
// body is the same object. The caller holds Platform.mu. OC: (a) rows 10, 20, 21
func (j *job) fields(status string, instance int64) []field {
	var all []field
	if j.faults.Keys == "v3" {
		all = j.fieldsV3(status)
	} else {
		all = j.fieldsV1(status, instance)
	}
	return append(all, j.metaFields()...)
}

func (j *job) fieldsV1(status string, instance int64) []field {
	all := []field{
		{"id", j.jsonID()},
		{"status", status},
		{"recordsCount", j.rows.records},
		{"recordsFailedCount", j.rows.failed},
		{"instanceId", instance},
		{"object_name", j.object},
		{"job_direction", j.direction},
		{"fileFormat", j.rows.format},
		{"fileSize", j.rows.size},
		{"vendorJobId", "sim-" + j.id},
		{"bulk_start_time", j.time(j.created)},
	}
	if j.done() {
		all = append(all, field{"bulk_finish_time", j.time(j.finished)})
	}
	if failing(status) {
		all = append(all, field{"error", "the job ended " + status + ", as set by the simulator's dials"})
	}
	return all
}

func (j *job) fieldsV3(status string) []field {
	all := []field{
		{"id", j.jsonID()},
		{"jobStatus", status},
		{"recordCount", j.rows.records},
		{"errorCount", j.rows.failed},
		{"objectName", j.object},
		{"jobDirection", j.direction},
		{"fileFormat", j.rows.format},
		{"createdDate", j.created.UnixMilli()},
		{"notificationUrl", j.callback},
		{"vendorJobId", "sim-" + j.id},
	}
	if j.done() {
		all = append(all, field{"completionTime", j.finished.UnixMilli()})
	}
	if failing(status) {
		all = append(all, field{"statusMessage", "the job ended " + status + ", as set by the simulator's dials"})
	}
	return all
}

// failing statuses come with a text. OC: (a) rows 14, 20
func failing(status string) bool {
	return slices.Contains([]string{"ABORTED", "ERROR"}, strings.ToUpper(status))
}

// jsonID is the id as a string or a number, as the job has it. OC: (a) row 9
func (j *job) jsonID() any {
	if j.style.numericID {
		return json.Number(j.id)
	}
	return j.id
}

func (j *job) time(t time.Time) any {
	if j.style.epochTimes {
		return t.UnixMilli()
	}
	return t.UTC().Format(time.RFC3339)
}

// metaFields gives back what metaData said, and the callback payload in one of its spots. OC: (b)
// row 21
func (j *job) metaFields() []field {
	inside := j.meta.rest
	var all []field
	if j.payload != nil {
		switch j.style.payloadSpot {
		case 0:
			all = []field{{"callback-payload", j.payload}}
		case 1:
			all = []field{{"callbackPayload", j.payload}}
		default:
			inside = append(slices.Clone(inside), field{"callback-payload", j.payload})
		}
	}
	if len(inside) == 0 {
		return all
	}
	if j.faults.Keys == "v3" {
		return append(all, field{"metaData", json.RawMessage(plain(inside))})
	}
	return append(all, field{"metadata", string(plain(inside))}) // JSON as text
}
