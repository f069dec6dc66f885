//go:build browser

package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/conformance"
	"receiver/internal/natstest"
)

// hostile are texts that would do something if a page took them for more than text. A script in one
// calls __xss, which drive.mjs notes.
var hostile = []string{
	`<script>__xss("script")</script>`,
	`"><img src=x onerror=__xss("img")>`,
	`' autofocus onfocus='__xss("attribute")' x='`,
	`javascript:__xss("address")`,
	`</textarea></title></style></script><svg onload=__xss("svg")>`,
	`<a href="javascript:__xss('link')">click</a>`,
	`<div hx-get="/signout" hx-trigger="load" hx-on::load="__xss('htmx')">`,
	`<div data-hx-post="/signout" data-hx-trigger="load" data-hx-vals='js:{x:__xss("vals")}'>`,
	`<form action="https://evil.example/"><button>Sign in again</button>`,
	`<meta http-equiv="refresh" content="0;url=https://evil.example/">`,
	`<base href="https://evil.example/"><link rel=stylesheet href=//evil.example/x.css>`,
	`<style>*{display:none}</style><iframe srcdoc="<script>parent.__xss('frame')</script>">`,
	`{{.CSRF}} {{printf "%s" .}} ${__xss("template")} <%= 7*7 %>`,
	"\u202egpj.exe\u2066 \u200b\u2028\u0085\u001b[2Jx\x00",
	`=HYPERLINK("https://evil.example/","x")`,
	`..`, `.`, `../../etc/passwd`, `a/b?c#d%2f&e=f;g`, `%2e%2e%2f`, ` `, `--help`, `\`,
	"Z" + strings.Repeat("\u0301", 300),
	strings.Repeat("W", 3000),
	strings.Repeat("ß字😀", 400),
}

// attacks are the classes of the attack suite whose bodies, ids and headers are recorded.
var attacks = []string{"headers", "identity", "paths", "encodings", "json", "subjects", "tenants", "re-encoding", "macs", "algorithms"}

// TestHostileTextIsOnlyText follows every link of the page over a receiver that has seen the bodies
// and ids of the attack suite, and hostile texts in each place that takes a text from outside.
func TestHostileTextIsOnlyText(t *testing.T) {
	r := newRig(t, t.TempDir(), hostile...)
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: r.PublicURL() + "/callbacks/crm", Key: []byte(platformKey), Scheme: conformance.Schemes[0],
		Time: time.Minute, CutOff: 15 * time.Second, Only: attacks,
	})
	if err != nil || report.Count(conformance.Fail) > 0 {
		t.Fatalf("the attack suite: %v, %s", err, report.Summary())
	}
	r.sinkDown.Store(&hostile[1])
	for i, text := range hostile {
		quoted, err := json.Marshal(text)
		natstest.Must(t, err)
		for _, body := range []string{
			fmt.Sprintf(`{"id":%s,"status":"COMPLETED","recordsCount":3,"recordsFailedCount":1}`, quoted),
			fmt.Sprintf(`{"id":"status-%d","status":%s}`, i, quoted),
			fmt.Sprintf(`{"id":"fields-%d","status":"COMPLETED","object_name":%s,"fileFormat":%s,"job_direction":%s,%s:1}`, i, quoted, quoted, quoted, quoted),
			text,
		} {
			r.call(t, "crm", signature(platformKey, []byte(body)), []byte(body))
			r.call(t, "crm", signature("not the key", []byte(body)), []byte(body), "User-Agent", printable(text), "X-Request-Id", printable(text), "X-Forwarded-For", printable(text))
		}
		r.call(t, url.PathEscape(text), printable(text), []byte("x"))
	}
	huge := fmt.Sprintf(`{"id":"huge","status":"COMPLETED","note":"%s"}`, strings.Repeat("<b>", 100<<10/3))
	r.call(t, "crm", signature(platformKey, []byte(huge)), []byte(huge))
	rows := "C_EmailAddress,C_FirstName\n"
	for _, text := range hostile {
		rows += `"` + strings.ReplaceAll(text, `"`, `""`) + `",x` + "\n"
	}
	s := scene{Jobs: map[string]string{"rows": r.submit(t, "crm", "contact", "", []byte(rows))}}
	r.await(t, 1, "text="+s.Jobs["rows"]+"&state=finished")
	r.ask(t, http.MethodPost, "/v1/sources/crm/jobs/"+s.Jobs["rows"]+"/replay?reason="+url.QueryEscape(hostile[0]), nil, "")
	natstest.Eventually(t, "the attempts to be recorded", func() bool {
		return len(read[api.CallbackPage](t, r, "/v1/callbacks?limit=1000&reason=mismatch").Callbacks) >= 4*len(hostile)
	})
	_, err = r.Seal(t.Context())
	natstest.Must(t, err)
	drive(t, r, s, "hostile")
}

// printable is a text as a header can carry it.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, text[:min(len(text), 1000)])
}
