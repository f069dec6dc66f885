package page_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/job"
)

func action(what, operator, reason, details string) api.Callback {
	return api.Callback{
		ID: "ACTIONS/4", Stream: "ACTIONS", Sequence: 4, Received: received, Stored: received, Verdict: "action", What: what, Operator: operator,
		Reason: reason, Details: json.RawMessage(details),
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	var asked []url.Values
	long := `"` + strings.Repeat("<", 300) + `"`
	p := newPage(trail(&asked, map[string]api.CallbackPage{"": {Callbacks: []api.Callback{
		action("release", "anna", "wrong <file>", `{"source":"crm","job":"4/2","request":"XYZ"}`),
		action("reverify", "ben", "", `{"attempts":["ATTEMPTS/1","ATTEMPTS/2"],"key":""}`),
		action("explain", "ben", "", `{"record":"ATTEMPTS/7"}`),
		action("start", "", "", `{"text":`+long+`,"config":"`+strings.Repeat("ab", 32)+`","nested":{"a":[1]}}`),
		action("someday", "eve\u202e", "", `[]`),
	}}}))
	w := ask(t, p, http.MethodGet, "/actions?operator=anna", "rcv_all", nil)
	body := w.Body.String()
	for _, text := range []string{
		"quarantined callback released", "anna", "wrong &lt;file&gt;", "refused callbacks accepted late", "the receiver", "abababababab…", "{&#34;a&#34;:[1]}", "All details", "someday",
	} {
		if !strings.Contains(body, text) {
			t.Errorf("the view lacks %s:\n%s", text, body)
		}
	}
	links := hrefs(body)
	for _, link := range []string{"/jobs/crm/4%2F2", "/callbacks/ATTEMPTS/1", "/callbacks/ATTEMPTS/2", "/callbacks/ATTEMPTS/7", "/callbacks/ACTIONS/4"} {
		if !slices.Contains(links, link) {
			t.Errorf("no link to %s among %q", link, links)
		}
	}
	if w.Code != http.StatusOK || strings.Contains(body, "XYZ") || strings.Contains(body, "\u202e") || strings.Contains(body, strings.Repeat("&lt;", 200)) {
		t.Errorf("= %d %s", w.Code, body)
	}
	body = ask(t, p, http.MethodGet, "/actions", "rcv_audit", nil).Body.String()
	if links := hrefs(body); slices.Contains(links, "/jobs/crm/4%2F2") || !slices.Contains(links, "/callbacks/ATTEMPTS/1") {
		t.Errorf("an auditor has links to %q", links)
	}
}

// Uses of tokens are left out unless they are asked for, and the form offers all actions.
func TestWhichActions(t *testing.T) {
	t.Parallel()
	but := slices.DeleteFunc(slices.Clone(job.Actions), func(a string) bool { return a == job.ActionUse })
	for address, want := range map[string]url.Values{
		"/actions":                                 {"since": {"all"}, "action": but},
		"/actions?action=&since=1h&until=1m":       {"since": {"1h"}, "until": {"1m"}, "action": but},
		"/actions?action=all":                      {"since": {"all"}},
		"/actions?action=use&operator=ben&job=7":   {"since": {"all"}, "action": {"use"}, "operator": {"ben"}},
		"/actions?action=all&after=ACTIONS-7&body": {"since": {"all"}, "after": {"ACTIONS-7"}},
	} {
		var asked []url.Values
		p := newPage(trail(&asked, map[string]api.CallbackPage{"": {Callbacks: []api.Callback{action("use", "ben", "", "{}")}}}))
		body := ask(t, p, http.MethodGet, address, "rcv_audit", nil).Body.String()
		want["reverse"], want["limit"], want["verdict"], want["actions"] = []string{"true"}, []string{"50"}, []string{"action"}, []string{"true"}
		for _, values := range asked {
			slices.Sort(values["action"])
		}
		slices.Sort(want["action"])
		if len(asked) != 1 || asked[0].Encode() != want.Encode() {
			t.Errorf("%s asks %v, want %v", address, asked, want)
		}
		var offered []string
		for _, m := range regexp.MustCompile(`<option value="([a-z_]+)"`).FindAllStringSubmatch(body, -1) {
			offered = append(offered, m[1])
		}
		if all := append([]string{"all"}, job.Actions...); !slices.Equal(slices.Sorted(slices.Values(offered)), slices.Sorted(slices.Values(all))) {
			t.Errorf("%s offers %v, want %v", address, offered, all)
		}
		for _, link := range hrefs(body) {
			if u, err := url.Parse(link); err == nil && u.Path == "/callbacks/export" && (u.Query().Get("verdict") != "action" || !slices.Equal(slices.Sorted(slices.Values(u.Query()["action"])), want["action"])) {
				t.Errorf("%s exports %s", address, link)
			}
		}
	}
}
