package conformance

import (
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// WriteJSON writes each result as one JSON object a line.
func (c Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	for _, r := range c.Results {
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

// Summary says in one line how many cases have which verdict.
func (c Report) Summary() string {
	return fmt.Sprintf("%d cases: %d passed, %d failed, %d skipped", len(c.Results), c.Count(Pass), c.Count(Fail), c.Count(Skip))
}

// WriteText writes failures and skipped cases in full, the others as counts of their classes,
// or with all every case in full.
func (c Report) WriteText(w io.Writer, all bool) error {
	var b strings.Builder
	for _, class := range Classes() {
		n, passed := 0, 0
		var lines strings.Builder
		for _, r := range c.Results {
			if r.Class != class {
				continue
			}
			n++
			if r.Verdict == Pass {
				passed++
			}
			if all || r.Verdict != Pass {
				fmt.Fprintf(&lines, "  %s  %s\n        request   %s\n        expected  %s\n        seen      %s\n", r.Verdict, r.Name, r.Request, r.Expected, r.Seen)
			}
		}
		if n > 0 {
			fmt.Fprintf(&b, "%-12s %d of %d\n%s", class, passed, n, &lines)
		}
	}
	_, err := fmt.Fprintf(w, "%s%s\n", &b, c.Summary())
	return err
}

var page = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Conformance</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 14px/1.4 sans-serif; margin: 2em; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .3em .6em; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.fail td { background: #fdd; } .skip td { color: #777; }
</style></head><body>
<h1>Conformance</h1>
<p>{{.Summary}}</p>
<table><thead><tr><th>class</th><th>case</th><th>request</th><th>expected</th><th>seen</th><th>verdict</th></tr></thead><tbody>
{{range .Results}}<tr class="{{.Verdict}}"><td>{{.Class}}</td><td>{{.Name}}</td><td>{{.Request}}</td><td>{{.Expected}}</td><td>{{.Seen}}</td><td>{{.Verdict}}</td></tr>
{{end}}</tbody></table></body></html>
`))

// WriteHTML writes a page that needs nothing from anywhere.
func (c Report) WriteHTML(w io.Writer) error {
	if err := page.Execute(w, c); err != nil {
		return fmt.Errorf("writing the HTML report: %w", err)
	}
	return nil
}
