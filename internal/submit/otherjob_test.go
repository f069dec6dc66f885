package submit_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"receiver/internal/submit"
)

// Each row is an answer to a request about a job. An answer about another job is an error that
// names both, for every request.
func TestAnAnswerAboutAnotherJobIsNotBelieved(t *testing.T) {
	for _, tc := range []struct {
		name, id, body string
		other          string // the other job's id, as the error has it; empty if it is the same job
	}{
		{"the same", "77", `{"id":"77","status":"COMPLETED"}`, ""},
		{"the same as a number", "77", `{"id":77,"status":"COMPLETED"}`, ""},
		{"the same as Java writes it", "42114492", `{"id":4.2114492E7,"status":"COMPLETED"}`, ""},
		{"the same beyond a float", "9007199254740993", `{"id":9007199254740993,"status":"COMPLETED"}`, ""},
		{"the same in another spelling", "77", `{"job_id":"77","status":"COMPLETED"}`, ""},
		{"no id", "77", `{"status":"COMPLETED"}`, ""},
		{"null", "77", `{"id":null,"status":"COMPLETED"}`, ""},
		{"nothing", "77", `{"id":"","status":"COMPLETED"}`, ""},
		{"another", "77", `{"id":"78","status":"COMPLETED"}`, "78"},
		{"another as a number", "77", `{"id":78,"status":"COMPLETED"}`, "78"},
		{"one off beyond a float", "9007199254740993", `{"id":9007199254740992,"status":"COMPLETED"}`, "9007199254740992"},
		{"another as jobId", "77", `{"jobId":"78","status":"COMPLETED"}`, "78"},
		{"another as job_id", "77", `{"job_id":78,"status":"COMPLETED"}`, "78"},
		{"another beside a null", "77", `{"id":null,"jobId":"78","status":"COMPLETED"}`, "78"},
		{"with a blank", "77", `{"id":"77 ","status":"COMPLETED"}`, "77 "},
		{"with a zero before it", "77", `{"id":"077","status":"COMPLETED"}`, "077"},
		{"in capitals", "ab", `{"id":"AB","status":"COMPLETED"}`, "AB"},
		{"longer than any", "77", `{"id":1e400,"status":"COMPLETED"}`, "1e400"},
		{"a fraction", "77", `{"id":77.5,"status":"COMPLETED"}`, "77.5"},
		{"an object", "77", `{"id":{"x":77},"status":"COMPLETED"}`, `{"x":77}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, answering(200, tc.body, nil))
			status, err := c.Status(t.Context(), tc.id)
			_, cancelErr := c.Cancel(t.Context(), tc.id)
			for what, err := range map[string]error{"Status": err, "Cancel": cancelErr} {
				switch {
				case tc.other == "" && err != nil:
					t.Errorf("%s = %v, want the status", what, err)
				case tc.other != "" && !errors.Is(err, submit.ErrOtherJob):
					t.Errorf("%s = %v, want ErrOtherJob", what, err)
				case tc.other != "" && !(strings.Contains(err.Error(), strconv.Quote(tc.id)) && strings.Contains(err.Error(), strconv.Quote(strings.TrimSpace(tc.other)))):
					t.Errorf("%s = %v, want both %q and %q in it", what, err, tc.id, tc.other)
				}
			}
			if tc.other == "" && (status.ID != tc.id || status.Status != "COMPLETED") {
				t.Errorf("Status = %+v, want that of %s", status, tc.id)
			}
			if tc.other != "" && status.Raw != nil {
				t.Errorf("Status gave %s along with its error", status.Raw)
			}
		})
	}
}
