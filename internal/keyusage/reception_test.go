package keyusage_test

import (
	"reflect"
	"testing"

	"receiver/internal/job"
	"receiver/internal/keyusage"
)

func TestReceptions(t *testing.T) {
	refused := func(source, verdict string) job.Arrival {
		return job.Arrival{Source: source, Verdict: verdict, Received: hoursAgo(1)}
	}
	duplicate := verified("a", 4)
	duplicate.Verdict = job.Duplicate
	r := keyusage.Receptions{}
	for _, a := range []job.Arrival{
		refused("crm", "mismatch"), verified("a", 5), refused("crm", "missing"), duplicate, refused("crm", "mismatch"),
		refused("crm", "mismatch"), refused("crm", "missing"), refused("erp", "mismatch"),
	} {
		r.Add(a)
	}
	want := keyusage.Receptions{
		"crm": {Accepted: hoursAgo(4), Job: "j-a", Refused: map[string]int{"mismatch": 2, "missing": 1}},
		"erp": {Refused: map[string]int{"mismatch": 1}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("Receptions = %+v %+v, want %+v", r["crm"], r["erp"], want)
	}
}
