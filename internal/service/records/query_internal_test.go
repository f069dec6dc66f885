package records

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/auditlog"
)

func TestQuestionsForPages(t *testing.T) {
	now := time.Now()
	number := func(n int) *int { return &n }
	for _, row := range []struct {
		p     api.ListCallbacksParams
		wrong string
	}{
		{api.ListCallbacksParams{}, ""},
		{api.ListCallbacksParams{
			Since: "1h", Until: "1m", Source: []string{"a", "b"}, Verdict: []string{"refused"}, Address: []string{"192.0.2.0/24"}, Limit: number(1000),
			After: "JOBS-1.ATTEMPTS-2",
		}, ""},
		{api.ListCallbacksParams{Since: "all"}, ""},
		{api.ListCallbacksParams{Limit: number(0)}, "limit is not 1 to 1000"},
		{api.ListCallbacksParams{Limit: number(1001)}, "limit is not 1 to 1000"},
		{api.ListCallbacksParams{Since: "yesterday"}, "neither a duration"},
		{api.ListCallbacksParams{Address: []string{"here"}}, "neither an address"},
		{api.ListCallbacksParams{Verdict: []string{"refusd"}}, `verdict "refusd" is unknown (did you mean refused?); known: accepted, `},
		{api.ListCallbacksParams{Verdict: []string{"mismatch"}}, ""},
		{api.ListCallbacksParams{Reason: []string{"mismach"}}, `reason "mismach" is unknown (did you mean mismatch?); known: missing, `},
		{api.ListCallbacksParams{Body: []string{"xyz"}}, `body "xyz" is neither`},
		{api.ListCallbacksParams{Since: "1h", Until: "2h"}, "until 2h is before since 1h"},
		{api.ListCallbacksParams{Until: "25h"}, "until 25h is before since 24h"},
		{api.ListCallbacksParams{After: "JOBS"}, "is not the value of next of another page"},
		{api.ListCallbacksParams{After: "WATCH-1"}, "is not the value of next of another page"},
	} {
		_, err := pageQuery(row.p, now)
		if (err == nil) != (row.wrong == "") || err != nil && !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("%+v: %v, want %q", row.p, err, row.wrong)
		}
	}
	text, err := os.ReadFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, about, _ := strings.Cut(string(text), "operationId: listCallbacks")
	about, _, _ = strings.Cut(about, "- {name: address")
	for _, word := range append(append(slices.Clone(Verdicts), auditlog.Action), Reasons...) {
		if !strings.Contains(about, "`"+word+"`") {
			t.Errorf("api/openapi.yaml does not list %s among the verdicts and reasons of listCallbacks", word)
		}
	}
	_, err = (&API{}).Callbacks(t.Context(), api.ListCallbacksParams{After: "x"})
	var p *api.Problem
	if !errors.As(err, &p) || !api.BadRequest.Is(p) {
		t.Errorf("a question that is none = %v, want a bad request", err)
	}
}
