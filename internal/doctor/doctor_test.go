package doctor_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
)

func TestRunKeepsOrderAndNamesChecks(t *testing.T) {
	first := make(chan struct{})
	got := doctor.Run(t.Context(), time.Minute, []doctor.Check{
		{Name: "slow", Run: func(context.Context) []doctor.Finding {
			<-first // all run at once
			return []doctor.Finding{{What: "a"}, {Check: "own", What: "b", Severity: doctor.Error}}
		}},
		{Name: "silent", Run: func(context.Context) []doctor.Finding { return nil }},
		{Name: "quick", Run: func(context.Context) []doctor.Finding {
			close(first)
			return []doctor.Finding{{What: "c", Severity: doctor.Note}}
		}},
	})
	if text := render(t, got); text != "slow/a own/b quick/c" {
		t.Errorf("Run = %s, want the findings in the order of their checks", text)
	}
	if got := doctor.Worst(got); got != doctor.Error {
		t.Errorf("Worst = %v, want error", got)
	}
	doctor.Sort(got)
	if text := render(t, got); text != "own/b quick/c slow/a" {
		t.Errorf("Sort = %s, want the worst first", text)
	}
}

func render(t *testing.T, findings []doctor.Finding) string {
	t.Helper()
	var all []string
	for _, f := range findings {
		all = append(all, f.Check+"/"+f.What)
	}
	return strings.Join(all, " ")
}

func TestRunIsBounded(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	began := time.Now()
	got := doctor.Run(t.Context(), 20*time.Millisecond, []doctor.Check{
		{Name: "hangs", Run: func(context.Context) []doctor.Finding { <-hang; return nil }},
		{Name: "ends", Run: func(ctx context.Context) []doctor.Finding {
			<-ctx.Done()
			return []doctor.Finding{{What: "said in time"}}
		}},
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Run took %v", took)
	}
	if len(got) != 2 || got[0].Check != "hangs" || got[0].Severity != doctor.Warning || !strings.Contains(got[0].What, "longer than 20ms") {
		t.Errorf("Run = %+v, want a warning that the first did not end", got)
	}
	if len(got) == 2 && got[1].What != "said in time" {
		t.Errorf("Run = %+v, want what the second said when its time was over", got)
	}
}

func TestAFindingAsJSON(t *testing.T) {
	got, err := json.Marshal([]doctor.Finding{
		{Check: "sync", Severity: doctor.Warning, What: "w", Why: "y", Setting: "nats.sync", Change: "sync: always"}, {Check: "keys", What: "fine"},
	})
	want := `[{"check":"sync","severity":"warning","what":"w","why":"y","setting":"nats.sync","change":"sync: always"},{"check":"keys","severity":"ok","what":"fine"}]`
	if err != nil || string(got) != want {
		t.Errorf("as JSON it is %s, %v, want %s", got, err, want)
	}
}

// row is one judgement: its severity, what its text must name, and the setting.
type row struct {
	name     string
	got      []doctor.Finding
	severity doctor.Severity
	names    string
	setting  string
}

// hold holds judgements to what is always promised, and to their rows: the worst finding
// has the severity and names the words.
func hold(t *testing.T, rows []row) {
	t.Helper()
	for _, tt := range rows {
		worst := doctor.Finding{Severity: -1}
		for _, f := range tt.got {
			if f.What == "" || strings.HasSuffix(f.What, ".") || strings.Contains(f.What+f.Why+f.Change, "%!") {
				t.Errorf("%s: %+v has no clean text", tt.name, f)
			}
			if f.Severity > doctor.Note && (f.Why == "" || f.Change == "") {
				t.Errorf("%s: %+v does not say why it matters and what to change", tt.name, f)
			}
			if f.Severity == doctor.OK && f.Change != "" {
				t.Errorf("%s: %+v wants something changed that is as it should be", tt.name, f)
			}
			if f.Severity > worst.Severity {
				worst = f
			}
		}
		if tt.names == "" && len(tt.got) > 0 {
			t.Errorf("%s: found %+v, want nothing", tt.name, tt.got)
		}
		if tt.names == "" {
			continue
		}
		if worst.Severity != tt.severity || !strings.Contains(worst.What, tt.names) || worst.Setting != tt.setting {
			t.Errorf("%s: found %+v, want as the worst one of severity %v about %q, setting %q", tt.name, tt.got, tt.severity, tt.names, tt.setting)
		}
	}
}
