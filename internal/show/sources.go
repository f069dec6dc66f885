package show

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"receiver/internal/keyusage"
	"receiver/internal/service"
)

// Sources prints how the platform delivers to each source.
func (p Printer) Sources(r service.SourcesReport) error {
	if !r.Since.IsZero() && !p.JSON {
		p.Say("counted by this receiver since %s; other replicas count their own", Moment(r.Since))
	}
	rows := make([][]string, 0, len(r.Sources))
	for _, s := range r.Sources {
		rows = append(rows, []string{
			s.Name, Moment(s.Accepted), fmt.Sprint(s.InARow), lastReason(s), fmt.Sprint(s.Failing), Moment(s.NextRetry),
			fmt.Sprint(s.AttemptsLeft), fmt.Sprint(s.GivenUp), refusals(s.Refused),
		})
	}
	return p.Table(r, []string{
		"SOURCE", "LAST 2XX", "NOT 2XX SINCE", "REASON", "FAILING", "NEXT RETRY", "ATTEMPTS LEFT", "GIVEN UP", "REFUSED SINCE",
	}, rows)
}

func lastReason(s service.SourceReport) string {
	if s.InARow == 0 {
		return "-"
	}
	return s.Reason
}

func refusals(byReason map[string]int) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, byReason[reason]))
	}
	return shown(strings.Join(parts, ", "))
}

// Keys prints the signature keys of a source; of all sources if it is empty.
func (p Printer) Keys(keys []keyusage.Use, source string) error {
	of := []keyusage.Use{}
	rows := [][]string{}
	for _, k := range keys {
		if source != "" && k.Source != source {
			continue
		}
		of = append(of, k)
		rows = append(rows, []string{
			k.Source, k.Name, k.Fingerprint, string(k.State), window(k.Key), Moment(k.Last),
			fmt.Sprint(k.Verified), fmt.Sprint(k.Mismatches), strings.Join(k.Warnings, "; "),
		})
	}
	return p.Table(of, []string{"SOURCE", "KEY", "FINGERPRINT", "STATE", "WINDOW", "LAST USE", "VERIFIED", "MISMATCHED", "WARNING"}, rows)
}

// Retirement prints whether a key can be removed, and place, where it is configured, if it can.
func (p Printer) Retirement(r keyusage.Retirement, place string) error {
	if !r.Safe {
		place = ""
	}
	value := struct {
		keyusage.Retirement
		Remove string `json:"remove,omitempty"`
	}{r, place}
	advice := "safe not before " + Moment(r.SafeAt)
	switch {
	case r.Safe:
		advice = "safe to remove: " + place
	case r.SafeAt.IsZero():
		advice = "not safe to remove"
	}
	return p.Line(value, fmt.Sprintf("%s/%s %s: %s; %s", r.Source, r.Name, r.Fingerprint, r.Why, advice))
}

func window(k keyusage.Key) string {
	if k.NotBefore.IsZero() && k.NotAfter.IsZero() {
		return "-"
	}
	edge := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return edge(k.NotBefore) + ".." + edge(k.NotAfter)
}
