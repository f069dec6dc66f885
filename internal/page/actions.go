package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"receiver/api"
)

// actionWords are the recorded actions and what they mean.
var actionWords = []searchOption{
	{"start", "receiver started"}, {"reload", "keys or sources changed"}, {"cancel", "job cancelled"}, {"release", "quarantined callback released"},
	{"replay", "event published again"}, {"reverify", "refused callbacks accepted late"}, {"explain", "callback verified again"}, {"export", "records exported"},
	{"rename", "logs renamed"}, {"streams", "limits or copies changed"}, {"tokens", "tokens changed"}, {"use", "token used"}, {"mend", "store repaired"},
	{"consumer_add", "consumer admitted"}, {"sink_replay", "events sent to a sink again"}, {"consumer_remove", "consumer removed"},
}

// The choices of the form of actions that are no action. Each use of a token is recorded twice, and
// what was done by it once more.
const (
	allActions = "all"
	tokenUse   = "use"
)

// actionFields is the form of the search of actions.
var actionFields = []searchField{
	{Name: "action", Label: "Action", Options: append([]searchOption{{"", "all but uses of tokens"}, {allActions, "all"}}, actionWords...)},
	{Name: "operator", Label: "Operator", Hint: "name"},
	{Name: "since", Label: "Since", Hint: "all, 24h, or a time"},
	{Name: "until", Label: "Until", Hint: "1h, or a time"},
}

// actions lists what operators did.
func (p *Page) actions(v *visit) error {
	q := v.r.URL.Query()
	asked := recordParams(q)
	asked.Verdict, asked.Actions = []string{"action"}, true
	asked.Reason, asked.Source, asked.Address, asked.Key, asked.Job, asked.Body = nil, nil, nil, nil, nil, nil
	if asked.Since == "" {
		asked.Since = "all"
	}
	switch action := strings.Join(asked.Action, " "); action {
	case allActions:
		asked.Action = nil
	case "":
		for _, o := range actionWords {
			if o.Value != tokenUse {
				asked.Action = append(asked.Action, o.Value)
			}
		}
	}
	f, err := v.searchRecords(actionFields, asked)
	if err != nil {
		return err
	}
	if f.Error != "" {
		v.status = http.StatusBadRequest
	}
	return v.show("acts", "Actions", newActionsView(f, asked)) // whose name is the class of the body
}

// actionsView is what the view of actions shows.
type actionsView struct {
	foundRecords
	CSV, JSON string // addresses of the export of the search
}

func newActionsView(f foundRecords, asked api.ListCallbacksParams) actionsView {
	export := func(format string) string {
		q := url.Values{"since": {asked.Since}, "until": {asked.Until}, "verdict": asked.Verdict, "action": asked.Action, "operator": asked.Operator}
		return viewAddress("/callbacks/export", q, map[string]string{"format": format})
	}
	return actionsView{f, export("csv"), export("jsonl")}
}

// Meaning says an action in words.
func (r listedRecord) Meaning() string {
	for _, o := range actionWords {
		if o.Value == r.What {
			return o.Text
		}
	}
	return r.What
}

// actionFact is one of the details of an action.
type actionFact struct {
	Name, Value string
	// Link is the address of the record or the job that it names, and Scope what that needs.
	Link, Scope string
}

// The bounds of an action in a list: bytes of one detail, bytes of the reason, and bytes of markup.
const (
	factShown    = 160
	reasonShown  = 200
	detailsShown = 1100
)

// requestID is the detail that a list leaves out: it is the same as in the log.
const requestID = "request"

// recordName is the name of a record, which has a view of its own.
var recordName = regexp.MustCompile(`^(JOBS|ATTEMPTS|ACTIONS)/[0-9]+$`)

// Facts are the reason of an action and its details by name. More reports that some are left out.
func (r listedRecord) Facts() (f actionFacts) {
	f.Reason = beginning(r.Reason, reasonShown)
	f.More = f.Reason != r.Reason
	left := detailsShown - markupSize(f.Reason)
	var details map[string]json.RawMessage
	if json.Unmarshal(r.Details, &details) != nil {
		return f
	}
	var names []string
	for name, value := range details {
		if text := string(value); name != requestID && text != "null" && text != `""` && text != "[]" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	text := func(name string) (s string) { _ = json.Unmarshal(details[name], &s); return s }
	for _, name := range names {
		values := flatValues(details[name])
		for i, value := range values {
			shown := actionFact{Name: name, Value: value}
			if len(values) > 1 {
				shown.Name = fmt.Sprintf("%s %d", name, i+1)
			}
			switch {
			case recordName.MatchString(value):
				shown.Link, shown.Scope = "/callbacks/"+value, "audit"
			case name == "job" && text("source") != "":
				shown.Link, shown.Scope = jobName{text("source"), value}.Address(), "read"
			}
			if digest.MatchString(value) {
				shown.Value = beginning(value, 12)
			}
			if len(shown.Value) > factShown {
				shown.Value, f.More = beginning(shown.Value, factShown), true
			}
			if left -= len(shown.Name) + markupSize(shown.Value) + len(shown.Link) + len(`<div><dt></dt> <dd><a href=""></a></dd></div>`); left < 0 {
				f.More = true
				return f
			}
			f.Shown = append(f.Shown, shown)
		}
	}
	return f
}

// digest is a SHA-256 in hexadecimal, of which a list shows the beginning.
var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// actionFacts are the reason and the details that a list shows.
type actionFacts struct {
	Reason string
	Shown  []actionFact
	More   bool
}

// flatValues returns the values of a list, or the one of anything else.
func flatValues(value json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil || len(list) == 0 {
		list = []json.RawMessage{value}
	}
	var all []string
	for _, item := range list {
		text := string(item)
		_ = json.Unmarshal(item, &text) // of no string it stays as it is written
		all = append(all, text)
	}
	return all
}
