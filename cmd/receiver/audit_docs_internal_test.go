package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/metrics"
	"receiver/internal/web"
)

var (
	exampleLine = regexp.MustCompile(`(?m)^    receiver (audit .*)$`)
	flagName    = regexp.MustCompile(`--([a-z-]+)`)
	metricName  = regexp.MustCompile(`receiver_audit_[a-z_]+`)
)

// The commands of the manual work, and their output is as it says.
func TestTheManualOfTheAuditHolds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(&app{})
	lines := exampleLine.FindAllStringSubmatch(string(text), -1)
	if len(lines) < 12 {
		t.Fatalf("docs/audit.md shows %d commands, want more", len(lines))
	}
	shown := map[string]bool{}
	for _, line := range lines {
		words := strings.Fields(line[1])
		cmd, _, err := root.Find(words[:2])
		if err != nil || cmd.Name() != words[1] {
			t.Errorf("docs/audit.md: receiver %s: there is no such command", line[1])
			continue
		}
		shown[cmd.Name()] = true
		for _, f := range flagName.FindAllStringSubmatch(line[1], -1) {
			if cmd.Flags().Lookup(f[1]) == nil {
				t.Errorf("docs/audit.md: receiver %s: there is no flag --%s", line[1], f[1])
			}
		}
	}
	group, _, err := root.Find([]string{"audit"})
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range group.Commands() {
		if !shown[cmd.Name()] && !strings.Contains(string(text), "audit "+cmd.Name()) && cmd.Name() != "seal" {
			t.Errorf("docs/audit.md does not tell of audit %s", cmd.Name())
		}
	}
	program := metrics.New(nil)
	figures := program.Sealing([]string{"JOBS"})
	figures.Observe("JOBS", 1, 0, 0, 1, false, nil)
	figures.Told("JOBS", "a folder", 1, time.Now())
	program.Archives().Observe("JOBS", time.Now(), false)
	served := metricsText(t, program)
	for _, name := range metricName.FindAllString(string(text), -1) {
		if !strings.Contains(served, name) {
			t.Errorf("docs/audit.md: there is no metric %s", name)
		}
	}
}

// Every kind of fault is explained where audit verify points to.
func TestEveryFaultIsExplained(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []audit.Kind{
		audit.Changed, audit.Missing, audit.Extra, audit.Reordered, audit.Unsealed, audit.BadHMAC, audit.Unreadable,
		audit.BadTile, audit.BadNote, audit.RolledBack, audit.Forked, audit.BadRoot,
	} {
		if !strings.Contains(string(text), "| `"+string(kind)+"` |") {
			t.Errorf("docs/evidence.md does not explain the fault %s", kind)
		}
	}
}

func metricsText(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	web.NewPrivate(web.Private{Metrics: m}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
