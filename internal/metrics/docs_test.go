package metrics_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md anew")

type group struct {
	title string
	names []string
}

const page = "../../docs/metrics.md"

// groups are the tables of the page, and the beginnings of the names in them. A name is in the
// first that fits.
var groups = []group{
	{"Callbacks", []string{"receiver_callback", "receiver_verifications", "receiver_attempts", "receiver_patience"}},
	{"Jobs and the platform", []string{"receiver_jobs", "receiver_submissions", "receiver_watch"}},
	{"The store", []string{"receiver_publish", "receiver_store", "receiver_consumers", "receiver_nats", "receiver_edge"}},
	{"Consumers of events by HTTP", []string{"receiver_sink", "receiver_event"}},
	{"The audit log", []string{"receiver_audit"}},
	{"Listeners", []string{"receiver_connections", "receiver_certificate", "receiver_private", "receiver_api"}},
	{"The program", []string{"receiver_"}},
}

// openLabels are the labels whose values a configuration makes. Of the others the page lists all
// values.
var openLabels = map[string]string{
	"source": "the configured sources", "key": "the names of its keys", "fingerprint": "their fingerprints", "sink": "the configured sinks",
	"token": "the names of the tokens, empty for requests without a valid one", "anchor": "the configured anchors", "stream": "the streams",
	"operation": "the operation ids of [openapi.yaml](../api/openapi.yaml), `_`", "status": "the HTTP statuses",
	"version": "of the program", "revision": "of its source", "goversion": "of Go",
}

// alarms say when a metric is a reason to look. A metric without one explains others.
var alarms = map[string]string{
	"receiver_api_requests_total":                        "5xx grow",
	"receiver_attempts_dropped_total":                    "it grows: a flood, or the store takes no records",
	"receiver_audit_anchor_timestamp_seconds":            "records are sealed, and it is hours old",
	"receiver_audit_fork":                                "1",
	"receiver_audit_suspect_records_total":               "it grows",
	"receiver_audit_unarchived_due":                      "1",
	"receiver_audit_unsealed_age_seconds":                "over 300",
	"receiver_callback_last_authentic_timestamp_seconds": "above 0 and older than the longest pause that is usual for the source",
	"receiver_callbacks_rejected_total":                  "`Service Unavailable` grows",
	"receiver_callbacks_total":                           "`unavailable` grows; `mismatch` of a source grows and `accepted` does not",
	"receiver_certificate_failures_total":                "it grows",
	"receiver_certificate_not_after_seconds":             "less than a week ahead",
	"receiver_connections_refused_total":                 "it grows",
	"receiver_consumers_restored_total":                  "it grows: another client changes the receiver's consumers",
	"receiver_edge_behind_seconds":                       "over the time that a link may fail",
	"receiver_edge_line_up":                              "0",
	"receiver_edge_missed_total":                         "it grows: records were lost for the hub",
	"receiver_event_readers_refused_total":               "it grows",
	"receiver_jobs":                                      "`lost` or `conflict` grow",
	"receiver_log_lines_dropped_total":                   "it grows: standard error is not read",
	"receiver_nats_refused_total":                        "it grows",
	"receiver_patience_attempts_left":                    "less than 3",
	"receiver_patience_deliveries_given_up":              "above 0",
	"receiver_private_requests_total":                    "`unauthorized` or `forbidden` grow",
	"receiver_publish_duration_seconds":                  "`failed` grows, or the 99th percentile is over a second",
	"receiver_publish_in_flight":                         "near `limits.waiting`",
	"receiver_sink_given_up_events":                      "above 0",
	"receiver_sink_pending_events":                       "it grows for minutes",
	"receiver_store_free_bytes":                          "less than a day's growth",
	"receiver_store_full":                                "1",
	"receiver_store_restarts":                            "it grows",
	"receiver_store_state":                               "`ok` is 0 for a minute",
	"receiver_submissions_total":                         "`unavailable` or `platform-failed` grow",
	"receiver_trace_spans_dropped_total":                 "it grows: the collector does not take them",
	"receiver_verifications_outside_window_total":        "it grows: a key is used that should not be",
	"receiver_watch_total":                               "`lost` grows; `look` is `unauthorized` or `unreachable`",
}

// docs/metrics.md has a row for each metric, as it is in the registry.
func TestThePageListsEveryMetric(t *testing.T) {
	text, err := os.ReadFile(page)
	must(t, err)
	rows := make([][]string, len(groups))
	known := map[string]bool{}
	for _, m := range all(t) {
		known[m.name] = true
		i := slices.IndexFunc(groups, func(g group) bool {
			return slices.ContainsFunc(g.names, func(start string) bool { return strings.HasPrefix(m.name, start) })
		})
		rows[i] = append(rows[i], m.row())
	}
	for name := range alarms {
		if !known[name] {
			t.Errorf("there is an alarm for %s, which is no metric", name)
		}
	}
	var b strings.Builder
	for i, g := range groups {
		fmt.Fprintf(&b, "### %s\n\n| name | type | labels | meaning | alarm when |\n| --- | --- | --- | --- | --- |\n%s\n", g.title, strings.Join(rows[i], ""))
	}
	const begin, end = "## All metrics\n\n", "## Of the Go runtime"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/metrics.md lacks %q or %q", begin, end)
	}
	want := before + begin + b.String() + end + after
	switch {
	case want == string(text):
	case *update:
		must(t, os.WriteFile(page, []byte(want), 0o644))
	default:
		t.Error("docs/metrics.md is not as the metrics are; run go test ./internal/metrics -update")
	}
}

// metric is one metric as the registry has it, with all values of its labels.
type metric struct {
	name, kind, help string
	labels           map[string]map[string]bool
}

// all returns the metrics of the receiver, without those of Go and the process.
func all(t *testing.T) (all []metric) {
	t.Helper()
	families, err := full(t).Gatherer().Gather()
	must(t, err)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "receiver_") {
			continue
		}
		m := metric{f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp(), map[string]map[string]bool{}}
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				if m.labels[l.GetName()] == nil {
					m.labels[l.GetName()] = map[string]bool{}
				}
				m.labels[l.GetName()][l.GetValue()] = true
			}
		}
		if f.GetMetric()[0].GetHistogram().GetSchema() != 0 {
			m.kind = "histogram, native and classic"
		}
		all = append(all, m)
	}
	return all
}

// quoted are the parts of a help text that the page shows as code.
var quoted = regexp.MustCompile(`\b(limits\.\w+|not_before|not_after|receiver_\w+|GET /\S+\w|_)(\b|,| )`)

// row is the row of the metric in the page.
func (m metric) row() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(m.labels)) {
		said := openLabels[name]
		if said == "" {
			said = "`" + strings.Join(slices.Sorted(maps.Keys(m.labels[name])), "`, `") + "`"
		} else if name == "source" && m.labels[name]["_"] {
			said += ", `_`"
		}
		labels = append(labels, fmt.Sprintf("`%s`: %s", name, said))
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, strings.Join(labels, "; "), quoted.ReplaceAllString(m.help, "`$1`$2"), alarms[m.name])
}
