package job_test

import (
	"fmt"
	"testing"

	"receiver/internal/job"
)

// OC: section 5.2, (a) rows 11 to 14, (b) rows 2, 3 and 26.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		status string
		class  job.Class
		word   string
	}{
		{"CREATED", job.Running, "CREATED"},
		{"STARTED", job.Running, "STARTED"},
		{"RUNNING", job.Running, "RUNNING"},
		{"SCHEDULED", job.Running, "SCHEDULED"},
		{"INITIATED", job.Running, "INITIATED"},
		{"CANCELLATION_PENDING", job.Running, "CANCELLATION_PENDING"},
		{"COMPLETED", job.Success, "COMPLETED"},
		{"COMPLETE", job.Success, "COMPLETED"},
		{"SUCCESS", job.Success, "COMPLETED"},
		{"WARNING", job.Warning, "WARNING"},
		{"ABORTED", job.Failure, "ABORTED"},
		{"ERROR", job.Failure, "ERROR"},
		{"CANCELLED", job.Cancellation, "CANCELLED"},
		{"CANCELED", job.Cancellation, "CANCELLED"},
		{"CREATEd", job.Running, "CREATED"}, // as one page of the vendor spells it
		{" completed\r\n", job.Success, "COMPLETED"},
		{"FAILED", job.Unknown, "FAILED"},
		{"COMPLETED_WITH_ERRORS", job.Unknown, "COMPLETED_WITH_ERRORS"},
		{"Processing ", job.Unknown, "PROCESSING"},
		{"COMPLETED.", job.Unknown, "COMPLETED."},
		{"\u017fucce\u017f\u017f", job.Unknown, "\u017fucce\u017f\u017f"}, // whose upper case is one of the platform's words
		{"warn\u0131ng", job.Unknown, "warn\u0131ng"},
		{"", job.Unknown, ""},
	} {
		class, word := job.Classify(tt.status)
		if class != tt.class || word != tt.word {
			t.Errorf("Classify(%q) = %v, %q, want %v, %q", tt.status, class, word, tt.class, tt.word)
		}
		if got, want := class.Terminal(), tt.class >= job.Success; got != want {
			t.Errorf("class of %q: Terminal = %v, want %v", tt.status, got, want)
		}
	}
}

// OC: section 5.2 last paragraph, (a) row 13, (b) rows 4 and 22.
func TestResult(t *testing.T) {
	for _, tt := range []struct {
		name, status, records, failed string
		want                          job.Result
	}{
		{"every row done", "COMPLETED", "2", "0", job.Succeeded},
		{"no rows at all", "COMPLETED", "0", "0", job.Succeeded},
		{"no counts", "COMPLETE", "null", "null", job.Succeeded},
		{"only the total", "SUCCESS", "2", "null", job.Succeeded},
		{"some rows failed", "COMPLETED", "2", "1", job.Partial},
		{"some failed of an unknown total", "COMPLETED", "null", "1", job.Partial},
		{"every row failed, and yet completed", "COMPLETED", "2", "2", job.Failed},
		{"a total without the failures", "COMPLETED", "0", "2", job.Failed},
		{"a warning", "WARNING", "2", "0", job.Partial},
		{"a warning without counts", "WARNING", "null", "null", job.Partial},
		{"a warning and every row failed", "WARNING", "2", "2", job.Failed},
		{"given up by the platform", "ABORTED", "2", "0", job.Failed},
		{"given up by the vendor", "ERROR", "null", "null", job.Failed},
		{"cancelled", "CANCELLED", "2", "2", job.Cancelled},
		{"cancelled, with one l", "CANCELED", "null", "null", job.Cancelled},
		{"still running", "RUNNING", "2", "2", ""},
		{"about to be cancelled", "CANCELLATION_PENDING", "2", "0", ""},
		{"a word we do not know", "FINISHED", "2", "0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := fmt.Sprintf(`{"id":"1","status":%q,"recordsCount":%s,"recordsFailedCount":%s}`,
				tt.status, tt.records, tt.failed)
			if got := read(t, body).Result; got != tt.want {
				t.Errorf("Read(%s).Result = %q, want %q", body, got, tt.want)
			}
		})
	}
}

func TestSameOutcome(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"another spelling", `{"id":"1","status":"COMPLETE"}`, `{"id":"1","jobStatus":"success"}`, true},
		{"more said about it", `{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"COMPLETED","recordsCount":2}`, true},
		{"another result", `{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"COMPLETED","recordsFailedCount":1}`, false},
		{"another status of one result", `{"id":"1","status":"ABORTED"}`, `{"id":"1","status":"ERROR"}`, false},
		{"another end", `{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"CANCELLED"}`, false},
	} {
		if got := read(t, tt.a).SameOutcome(read(t, tt.b)); got != tt.want {
			t.Errorf("%s: SameOutcome = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func read(tb testing.TB, body string) job.View {
	tb.Helper()
	v, err := job.Read([]byte(body))
	if err != nil {
		tb.Fatalf("Read(%s): %v", body, err)
	}
	return v
}
