package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the template and the styles
	"encoding/base64"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/plain"
	"receiver/internal/words"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styles string

// Policy is the Content-Security-Policy of a page: it loads and runs nothing, and uses its own
// styles only.
func Policy() string {
	sum := sha256.Sum256([]byte(styles))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}

// page is the template. Every text of a report goes through text or lines, which show what a
// browser would obey or hide; the template escapes what is left.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"text":    plain.Text,
	"lines":   plain.Lines,
	"moment":  moment,
	"second":  second,
	"count":   func(n int, noun string) string { return words.Count(n, noun) },
	"verdict": verdict,
	"about":   about,
	"tone":    tone,
	"known":   known,
	"sorted":  func(h map[string][]string) []string { return slices.Sorted(maps.Keys(h)) },
	"id":      anchor,
	"root":    root,
	"add":     func(a, b int) int { return a + b },
	"bundle": func(data []byte) template.HTMLAttr {
		return template.HTMLAttr(`href="data:application/json;base64,` + base64.StdEncoding.EncodeToString(data) + `"`) //nolint:gosec // base64 is inert
	},
}).Parse(strings.NewReplacer("{{styles}}", styles, "{{policy}}", Policy()).Replace(pageText)))

// composed is a report as a template gets it.
type composed struct {
	Report
	// Bundle is the address of the only bundle; empty where it is in the page.
	Bundle string
}

// Page returns one page of HTML that needs nothing else: no script, no file, no network.
func (r Report) Page() ([]byte, error) {
	var out bytes.Buffer
	err := page.Execute(&out, composed{Report: r})
	return out.Bytes(), err
}

// Certificate returns a report about one record as a part of another page, with the same sentences.
// Its bundle is at an address.
func (r Report) Certificate(bundle string) (template.HTML, error) {
	var out bytes.Buffer
	err := page.ExecuteTemplate(&out, "certificate", composed{r, bundle})
	return template.HTML(out.String()), err //nolint:gosec // the template has escaped it
}

// root is where the path of a record ends.
func root(r Record) string {
	if len(r.Path) == 0 {
		return r.Leaf
	}
	return r.Path[len(r.Path)-1].Node
}

// anchor is the place of a record in the page.
func anchor(record string) string {
	return "r-" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, record)
}

// moment shows a time as it is recorded.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999999 UTC") }

// second shows a time for an overview.
func second(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// verdict is what was decided on a record.
func verdict(r Record) string {
	switch r.Verdict {
	case auditlog.Event:
		return "own event"
	case auditlog.Action:
		return "action " + r.What
	}
	return r.Verdict
}

// about is why it was decided, or what the record tells.
func about(r Record) string {
	if r.Reason != "" || r.Result == "" {
		return cmp.Or(r.Reason, r.Kind)
	}
	return r.Kind + ", " + r.Result
}

// tone is the colour of a verdict.
func tone(r Record) string {
	switch r.Verdict {
	case auditlog.Accepted:
		return "good"
	case auditlog.Refused:
		return "bad"
	case auditlog.Event, auditlog.Action:
		return "own"
	}
	return "mixed"
}

// known says how an event is known.
func known(evidence string) string {
	switch evidence {
	case "":
		return ""
	case "callback":
		return "a signed callback"
	case "late":
		return "a signed callback that was accepted late"
	case "poll":
		return "an answer of the platform to this receiver"
	case "vendor-queue":
		return "the platform's queue of callbacks"
	case "receiver":
		return "this receiver itself"
	}
	return fmt.Sprintf("evidence %q", evidence)
}
