package records_test

import (
	"strings"
	"testing"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/service/records"
)

// A subject on which nothing is ever stored would be watched without effect.
func TestCheckSubject(t *testing.T) {
	const form = "matches nothing, because subjects have the form jobs.<source>.<job>.<kind>"
	for _, tt := range []struct {
		subject  string
		attempts bool
		want     string // empty: no error
	}{
		{"jobs.>", true, ""}, {">", true, ""}, {"*.*.*.finished", true, ""}, {"jobs.*.*.finished", true, ""}, {"jobs.crm.>", false, ""}, {"jobs.crm.77.>", true, ""},
		{"jobs.crm.77.overdue", true, ""}, {"jobs.crm.unrecognised", true, ""}, {"jobs.crm.~4pig.*", true, ""}, {"jobs.crm.77.finished.>", true, form},
		{"attempts.>", true, ""}, {"attempts._.wrong_path", true, ""}, {"attempts.*.mismatch_token", true, ""}, {"attempts.crm.quarantined", true, ""},
		{"job.>", true, `"job" is unknown (did you mean jobs?); known: jobs, attempts`}, {"actions.>", true, `"actions" is unknown; known: jobs, attempts`},
		{"attempts.>", false, `"attempts" is unknown; known: jobs`}, {"jobs", true, form}, {"jobs.crm", true, form}, {"jobs.crm.finished", true, form},
		{"jobs.*.*.finshed", true, `the kind "finshed" is unknown (did you mean finished?); known: submitted, progress,`},
		{"attempts.*.mismach", true, `the verdict "mismach" is unknown (did you mean mismatch?); known: missing,`},
		{"attempts.crm.a.b", true, "the form attempts.<source>.<verdict>"},
		{"", true, "is no subject"}, {"jobs..>", true, "is no subject"}, {"jobs.>.finished", true, "is no subject"}, {"jobs.crm*.>", true, "is no subject"}, {"jobs.a b.>", true, "is no subject"},
	} {
		got := ""
		if err := records.CheckSubject(tt.subject, tt.attempts); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("CheckSubject(%q, %v) = %q, want %q", tt.subject, tt.attempts, got, tt.want)
		}
	}
}

// Each kind and verdict that is stored can be asked for.
func TestWordsOfWhatIsStoredAreKnown(t *testing.T) {
	for _, k := range job.Kinds {
		if err := records.CheckSubject(job.Pattern("", "", k), false); err != nil {
			t.Errorf("CheckSubject of the kind %s = %v, want nil", k, err)
		}
	}
	for _, v := range records.Verdicts {
		q := records.Query{Since: "all", Filter: auditlog.Filter{Verdicts: []string{v}, Reasons: records.Reasons}}
		if err := q.Parse(time.Now()); err != nil {
			t.Errorf("Parse with the verdict %s = %v, want nil", v, err)
		}
	}
}

func TestQueryRefusesUnknownWords(t *testing.T) {
	for _, tt := range []struct {
		filter  auditlog.Filter
		actions bool
		want    string
	}{
		{auditlog.Filter{Verdicts: []string{"refuse"}}, false, `verdict "refuse" is unknown (did you mean refused?); known: accepted, unrecognised, refused, duplicate, late, quarantined, unconfirmed, missing, `},
		{auditlog.Filter{Verdicts: []string{"mismatch", "not_json", "late"}}, false, ""},
		{auditlog.Filter{Verdicts: []string{"mismach"}}, false, `verdict "mismach" is unknown (did you mean mismatch?)`},
		{auditlog.Filter{Verdicts: []string{""}}, false, `verdict "" is unknown`},
		{auditlog.Filter{Bodies: []string{"ae466c30", "AE"}}, false, ""},
		{auditlog.Filter{Bodies: []string{"sha256:ae"}}, false, `body "sha256:ae" is neither a SHA-256 in hexadecimal nor its first digits`},
		{auditlog.Filter{Bodies: []string{""}}, false, `body "" is neither`},
		{auditlog.Filter{Bodies: []string{strings.Repeat("a", 65)}}, false, `body "aaa`},
		{auditlog.Filter{Verdicts: []string{auditlog.Action}}, false, `verdict "action" is unknown`},
		{auditlog.Filter{Verdicts: []string{auditlog.Action}}, true, ""},
		{auditlog.Filter{Reasons: []string{"missmatch"}}, false, `reason "missmatch" is unknown (did you mean mismatch?)`},
		{auditlog.Filter{Reasons: []string{"a new key"}}, true, ""}, // an operator's
	} {
		q := records.Query{Since: "all", Filter: tt.filter, Actions: tt.actions}
		got := ""
		if err := q.Parse(time.Now()); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("Parse of %v = %q, want %q", tt.filter, got, tt.want)
		}
	}
}
