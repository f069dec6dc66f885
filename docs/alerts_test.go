package docs_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alert is one rule of deploy/alerts.yaml.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal([]byte(read(t, "../deploy/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		t.Fatalf("deploy/alerts.yaml has %d alerts: this test reads it wrongly", len(all))
	}
	return all
}

// TestEveryAlertHasARunbook holds that an alert says how grave it is and what to do, and that
// runbooks.md has a section for it, and none for another.
func TestEveryAlertHasARunbook(t *testing.T) {
	sections := map[string]string{}
	for _, text := range strings.Split(read(t, "runbooks.md"), "\n## ")[1:] {
		name, rest, _ := strings.Cut(text, "\n")
		sections[name] = rest
	}
	for _, a := range alerts(t) {
		if s := a.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
			t.Errorf("%s has the severity %q", a.Alert, s)
		}
		for _, text := range []string{"summary", "description"} {
			if !strings.HasSuffix(a.Annotations[text], ".") {
				t.Errorf("%s has the %s %q, want a sentence", a.Alert, text, a.Annotations[text])
			}
		}
		if url, want := a.Annotations["runbook_url"], "docs/runbooks.md#"+strings.ToLower(a.Alert); url != want {
			t.Errorf("%s has the runbook_url %q, want %q", a.Alert, url, want)
		}
		for _, part := range []string{"Meaning", "Check", "Do", "Over"} {
			if !strings.Contains(sections[a.Alert], "**"+part+"**") {
				t.Errorf("runbooks.md does not say %q of %s", part, a.Alert)
			}
		}
		delete(sections, a.Alert)
	}
	for name := range sections {
		t.Errorf("runbooks.md has a section for %s, which is no alert", name)
	}
}

// TestEveryAlertHasACase holds that promtool tests each alert: once while it fires, with the labels
// that its texts name, and once while nothing does.
func TestEveryAlertHasACase(t *testing.T) {
	type check struct {
		Samples []struct{ Labels string } `yaml:"exp_samples"`
	}
	cases := map[string][]check{}
	for _, name := range []string{"alerts_test.yaml", "alerts_days_test.yaml"} {
		var file struct {
			Tests []struct {
				Name   string
				Checks []check `yaml:"promql_expr_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, "../deploy/"+name)), &file); err != nil {
			t.Fatal(err)
		}
		for _, c := range file.Tests {
			cases[c.Name] = append(cases[c.Name], c.Checks...)
		}
	}
	label := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, a := range alerts(t) {
		fires, rests := "", false
		for _, c := range cases[a.Alert] {
			rests = rests || len(c.Samples) == 0
			for _, s := range c.Samples {
				if strings.Contains(s.Labels, `alertname="`+a.Alert+`"`) {
					fires = s.Labels
				}
			}
		}
		if fires == "" || !rests {
			t.Errorf("the tests of alerts.yaml have no case in which %s fires, or none in which it does not", a.Alert)
		}
		for _, l := range label.FindAllStringSubmatch(a.Annotations["summary"]+a.Annotations["description"], -1) {
			if !regexp.MustCompile(`\b` + l[1] + `="`).MatchString(fires) {
				t.Errorf("%s names the label %s, which its test does not show that it has", a.Alert, l[1])
			}
		}
	}
}

// panel is one panel of the dashboard.
type panel struct {
	ID          int
	Title, Type string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, RefID string }
}

type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "../deploy/grafana/receiver.json")), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 20 {
		t.Fatalf("the dashboard has %d panels: this test reads it wrongly", len(d.Panels))
	}
	return d
}

// TestTheDashboardIsWhole holds what Grafana does not say of a file that it imports: panels that
// cover each other, and variables that are not there. CI runs the queries.
func TestTheDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	variables := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("the panel %d %q has the id of another, no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is wider than the dashboard", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" {
					t.Fatalf("%s covers %s", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] {
				t.Errorf("%s has two queries %s", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(q.Expr, -1) {
				if !variables[v[1]] {
					t.Errorf("%s has the variable %s, which the dashboard does not define", p.Title, v[1])
				}
			}
		}
	}
}

// TestAlertsAndDashboardNameMetrics holds that each metric that they name is one of metrics.md.
func TestAlertsAndDashboardNameMetrics(t *testing.T) {
	list := read(t, "metrics.md")
	texts := map[string]string{}
	for _, a := range alerts(t) {
		texts[a.Alert] = a.Expr
	}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			texts["the panel "+p.Title] += " " + q.Expr
		}
	}
	for _, v := range d.Templating.List {
		texts["the variable "+v.Name] = v.Definition
	}
	name := regexp.MustCompile(`\breceiver_\w+`)
	parts := regexp.MustCompile(`_(bucket|sum|count)$`)
	for where, text := range texts {
		for _, metric := range name.FindAllString(text, -1) {
			if !strings.Contains(list, "`"+metric+"`") && !strings.Contains(list, "`"+parts.ReplaceAllString(metric, "")+"`") {
				t.Errorf("%s names %s, which metrics.md does not have", where, metric)
			}
		}
	}
}

// TestEveryAlarmIsAnAlert holds that each metric is in an alert if metrics.md says when it is an
// alarm.
func TestEveryAlarmIsAnAlert(t *testing.T) {
	var expressions strings.Builder
	for _, a := range alerts(t) {
		expressions.WriteString(a.Expr + "\n")
	}
	rows := regexp.MustCompile("(?m)^\\| `(receiver_\\w+)` \\|.*\\| *([^| ][^|]*) \\|$").FindAllStringSubmatch(read(t, "metrics.md"), -1)
	if len(rows) < 20 {
		t.Fatalf("metrics.md has %d alarms: this test reads it wrongly", len(rows))
	}
	for _, m := range rows {
		if !regexp.MustCompile(`\b` + m[1] + `(_bucket|_sum|_count)?\b`).MatchString(expressions.String()) {
			t.Errorf("metrics.md says that %s is an alarm when %s, and no alert says so", m[1], m[2])
		}
	}
}
