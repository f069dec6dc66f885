package page

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
)

// searchField is one of the form of a search.
type searchField struct {
	Name, Label, Hint string
	// Options are the words to choose from; none is a field to type into.
	Options []searchOption
	// Suggested are words that a field may have.
	Suggested []string
	// Value is what was typed, and More are further values that an address had.
	Value string
	More  []string
}

// searchOption is a word to choose.
type searchOption struct{ Value, Text string }

// typedFields returns the fields with what an address says of them.
func typedFields(fields []searchField, q url.Values) []searchField {
	all := slices.Clone(fields)
	for i := range all {
		values := givenValues(q, all[i].Name)
		if len(values) > 0 {
			all[i].Value, all[i].More = values[0], values[1:]
		}
		if f := &all[i]; len(f.Options) > 0 && f.Value != "" && !slices.ContainsFunc(f.Options, func(o searchOption) bool { return o.Value == f.Value }) {
			f.Options = append(slices.Clone(f.Options), searchOption{f.Value, f.Value}) // that it stays
		}
	}
	return all
}

// givenValues returns the values of a parameter that say something.
func givenValues(q url.Values, name string) (all []string) {
	for _, v := range q[name] {
		if v = strings.TrimSpace(v); v != "" {
			all = append(all, v)
		}
	}
	return all
}

// recordParams are the parameters of a search of records, newest first.
func recordParams(q url.Values) api.ListCallbacksParams {
	first := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return api.ListCallbacksParams{
		Since: first("since"), Until: first("until"), After: first("after"), Reverse: true,
		Source: givenValues(q, "source"), Verdict: givenValues(q, "verdict"), Reason: givenValues(q, "reason"), Address: givenValues(q, "address"),
		Key: givenValues(q, "key"), Job: givenValues(q, "job"), Body: givenValues(q, "body"), Action: givenValues(q, "action"), Operator: givenValues(q, "operator"),
	}
}

// The records of one view, and how long the API is asked for more while few match.
const (
	recordsShown = 50
	searchTime   = time.Second
)

// foundRecords is what a search shows.
type foundRecords struct {
	Fields []searchField
	// Error is why the API does not take what was typed.
	Error   string
	Records []listedRecord
	// Older continues the search, and Newest begins it anew; each is empty if it leads nowhere.
	Older, Newest string
	// Full reports whether the search went on until there was no more, or the view was full.
	Full bool
	// Reached is how far back the search looked.
	Reached time.Time
	// Left is what is older than the search looks.
	Left api.OlderRecords
	// All is the address of the search without its beginning.
	All string
}

// searchRecords asks the API for the newest records. The view says what it refuses, beside
// what was typed.
func (v *visit) searchRecords(fields []searchField, p api.ListCallbacksParams) (f foundRecords, err error) {
	f.Fields = typedFields(fields, v.r.URL.Query())
	page, err := v.listRecords(p, recordsShown)
	if known := new(api.Problem); errors.As(err, &known) && known.Status == http.StatusBadRequest {
		f.Error = known.Error()
		return f, nil
	}
	if err != nil {
		return f, err
	}
	for _, r := range page.Callbacks {
		f.Records = append(f.Records, listedRecord{r})
	}
	f.Full, f.Reached, f.Left = page.Next == "" || len(page.Callbacks) == recordsShown, page.Reached, page.Older
	f.All = v.withParameters(map[string]string{"since": "all", "after": ""})
	if page.Next != "" {
		f.Older = v.withParameters(map[string]string{"after": page.Next})
	}
	if p.After != "" {
		f.Newest = v.withParameters(map[string]string{"after": ""})
	}
	return f, nil
}

// listRecords asks for pages until there are so many records, or it takes long.
func (v *visit) listRecords(p api.ListCallbacksParams, most int) (all api.CallbackPage, err error) {
	for begun := time.Now(); ; {
		left := most - len(all.Callbacks)
		p.Limit = &left
		page, err := client.Answer[api.CallbackPage](v.api.ListCallbacks(v.r.Context(), &p))
		if err != nil {
			return all, err
		}
		all.Callbacks, all.Next = append(all.Callbacks, page.Callbacks...), page.Next
		if !page.Reached.IsZero() {
			all.Reached = page.Reached
		}
		if all.Older.Records == 0 {
			all.Older = page.Older
		}
		if p.After = page.Next; page.Next == "" || len(all.Callbacks) >= most || time.Since(begun) > searchTime {
			return all, nil
		}
	}
}

// withParameters is the address of the view with other parameters.
func (v *visit) withParameters(parameters map[string]string) string {
	return viewAddress(v.r.URL.Path, v.r.URL.Query(), parameters)
}

// viewAddress is an address with parameters and others in place of them; one that is empty is left
// out.
func viewAddress(path string, q url.Values, others map[string]string) string {
	all := url.Values{}
	for name := range q {
		if values := givenValues(q, name); len(values) > 0 {
			all[name] = values
		}
	}
	for name, value := range others {
		if all.Del(name); value != "" {
			all.Set(name, value)
		}
	}
	if len(all) == 0 {
		return path
	}
	return path + "?" + all.Encode()
}

// listedRecord is a callback or an action as a view shows it.
type listedRecord struct{ api.Callback }

// When is the time at which it came.
func (r listedRecord) When() time.Time {
	if r.Received.IsZero() {
		return r.Stored
	}
	return r.Received
}

// Tone is the class of its verdict.
func (r listedRecord) Tone() string {
	switch r.Verdict {
	case "accepted":
		return "good"
	case "refused":
		return "bad"
	case "duplicate", "action", "":
		return ""
	}
	return "mixed"
}

// textShown is how many bytes a list shows of a text from outside.
const textShown = 80

// Asked is the address that a callback to no source named, JobText the id of the job, and By the
// operator, as far as a list shows them.
func (r listedRecord) Asked() string { return beginning(r.Claimed, textShown) }

// JobText is described at Asked.
func (r listedRecord) JobText() string { return beginning(r.Job, textShown) }

// By is described at Asked.
func (r listedRecord) By() string { return beginning(r.Operator, textShown) }

// Known reports whether it came to a configured source.
func (r listedRecord) Known() bool { return r.Source != "" && r.Source != "_" }
