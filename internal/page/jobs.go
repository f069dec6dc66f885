package page

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/words"
)

// The rows of a page of each list: few enough that a page of the longest ids stays below 100 KiB.
const (
	openRows = 15
	doneRows = 25
)

// The states of jobs without an end, and those of the others.
var (
	openStates = []api.State{"submitted", "running", "overdue", "lost"}
	doneStates = []api.State{"finished", "conflict"}
)

// jobs lists those without an end, the oldest first, and then those that have ended.
func (p *Page) jobs(v *visit) error {
	q := v.r.URL.Query()
	f := jobFilter{Source: q.Get("source"), Object: q.Get("object"), State: q.Get("state"), Result: q.Get("result"), Text: q.Get("text"), Since: q.Get("since")}
	counts, err := client.Answer[api.JobCounts](v.api.CountJobs(v.r.Context()))
	if err != nil {
		return err
	}
	view := jobsView{Filter: f, Tabs: f.tabs(counts), Complete: counts.Complete}
	for _, c := range counts.Counts {
		view.Sources = append(view.Sources, c.Source)
	}
	if f.Source != "" {
		view.Sources = append(view.Sources, f.Source)
	}
	slices.Sort(view.Sources)
	view.Sources = slices.Compact(view.Sources)
	now := time.Now()
	if states := f.among(openStates); len(states) > 0 && f.Result == "" {
		if view.Open, err = f.list(v, states, "open", openRows, now); err != nil {
			return err
		}
	}
	if states := f.among(doneStates); len(states) > 0 {
		if view.Done, err = f.list(v, states, "done", doneRows, now); err != nil {
			return err
		}
	}
	return v.show("jobs", "Jobs", view, "counts", "open", "done")
}

// jobsView is what the view shows.
type jobsView struct {
	Filter     jobFilter
	Sources    []string
	Tabs       []jobTab
	Open, Done *jobRows // nil if the filter wants none
	Complete   bool
}

// Results are those to choose from.
func (jobsView) Results() []string {
	return []string{"succeeded", "partial", "failed", "cancelled", "unknown"}
}

// States are those to choose from.
func (jobsView) States() []api.State { return slices.Concat(openStates, doneStates) }

// Times are those to choose from, with that of the address.
func (v jobsView) Times() []string {
	all := []string{"1h", "24h", "168h", "720h"}
	if f := v.Filter.Since; f != "" && !slices.Contains(all, f) {
		all = append(all, f)
	}
	return all
}

// jobTab is a number of jobs, and the address that lists them.
type jobTab struct {
	Name, Address string
	Jobs          int
	Here          bool
}

// jobFilter says which jobs are shown.
type jobFilter struct {
	Source, Object, State, Result, Text, Since string
}

// Any reports whether it leaves jobs out.
func (f jobFilter) Any() bool { return f != jobFilter{} }

// address is that of the view with this filter, and with more parameters in pairs.
func (f jobFilter) address(more ...string) string {
	q := url.Values{}
	pairs := append([]string{"source", f.Source, "object", f.Object, "state", f.State, "result", f.Result, "text", f.Text, "since", f.Since}, more...)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return "/jobs"
	}
	return "/jobs?" + q.Encode()
}

// tabs are the numbers of jobs by state and result, at the source of the filter.
func (f jobFilter) tabs(counts api.JobCounts) []jobTab {
	states, results := map[api.State]int{}, map[string]int{}
	for _, c := range counts.Counts {
		if f.Source != "" && c.Source != f.Source {
			continue
		}
		states[c.State] += c.Jobs
		results[string(c.Result)] += c.Jobs
	}
	var all []jobTab
	add := func(name string, jobs int, state, result string) {
		g := f
		g.State, g.Result = state, result
		if here := f.State == state && f.Result == result; jobs > 0 || here {
			all = append(all, jobTab{name, g.address(), jobs, here})
		}
	}
	for _, s := range openStates {
		add(string(s), states[s], string(s), "")
	}
	for _, r := range (jobsView{}).Results() {
		add(r, results[r], "", r)
	}
	add("conflict", states["conflict"], "conflict", "")
	return all
}

// among returns those of some states that the filter wants.
func (f jobFilter) among(states []api.State) []api.State {
	switch {
	case f.State == "":
		return states
	case slices.Contains(states, api.State(f.State)):
		return []api.State{api.State(f.State)}
	case !slices.Contains(openStates, api.State(f.State)) && !slices.Contains(doneStates, api.State(f.State)):
		return []api.State{api.State(f.State)} // the API says which there are
	}
	return nil
}

// jobRows is a page of a list.
type jobRows struct {
	Rows []jobRow
	// First and Next are the addresses of the first page and of the next; empty if this is it, or
	// if there is none.
	First, Next string
}

// list asks for a page of a list, whose cursor is in the parameter of its name.
func (f jobFilter) list(v *visit, states []api.State, name string, limit int, now time.Time) (*jobRows, error) {
	other := map[string]string{"open": "done", "done": "open"}[name]
	q := v.r.URL.Query()
	cursor, elsewhere := q.Get(name), q.Get(other)
	page, err := client.Answer[api.JobPage](v.api.ListJobs(v.r.Context(), &api.ListJobsParams{
		Source: f.Source, Object: f.Object, State: states, Result: f.results(), Text: f.Text, Since: f.Since,
		Reverse: name == "open", Limit: &limit, Cursor: cursor,
	}))
	if err != nil {
		return nil, err
	}
	rows := &jobRows{}
	for _, j := range page.Jobs {
		rows.Rows = append(rows.Rows, jobRow{ListedJob: j, Progress: jobProgress(j.State, j.Due, j.At, j.ChangedAt, now), now: now})
	}
	if cursor != "" {
		rows.First = f.address(other, elsewhere)
	}
	if page.Next != "" {
		rows.Next = f.address(other, elsewhere, name, page.Next)
	}
	return rows, nil
}

func (f jobFilter) results() []api.Result {
	if f.Result == "" {
		return nil
	}
	return []api.Result{api.Result(f.Result)}
}

// jobRow is one job in a list.
type jobRow struct {
	api.ListedJob
	Progress jobAge
	now      time.Time
}

// Address is that of the job's view.
func (r jobRow) Address() string { return jobName{r.Source, r.ID}.Address() }

// Took says how long the job took from its submission.
func (r jobRow) Took() string {
	if !r.Expected || r.FinishedAt.IsZero() {
		return ""
	}
	return words.Length(r.FinishedAt.Sub(r.At))
}

// Outcome is the word on how it ended.
func (r jobRow) Outcome() string { return outcome(r.State, r.Result) }

// Class is the colour of that word.
func (r jobRow) Class() string { return jobClass(r.State, r.Result) }

// Failures are the rows of the job that failed.
func (r jobRow) Failures() jobFailures { return failures(r.ListedJob.Records, r.ListedJob.Failed) }

// outcome is how a job ended, or where it stands.
func outcome(s api.State, r api.Result) string {
	switch {
	case s == "conflict":
		return "conflict"
	case r != "":
		return string(r)
	}
	return string(s)
}

// jobClass is the colour of a state or of a result.
func jobClass(s api.State, r api.Result) string {
	switch outcome(s, r) {
	case "succeeded":
		return "good"
	case "failed", "lost", "conflict":
		return "bad"
	case "partial", "unknown", "overdue":
		return "mixed"
	}
	return ""
}

// jobFailures are the rows of a job that failed, as words and as a part of a bar of 100.
type jobFailures struct {
	Words string
	Bar   bool
	Part  int
}

func failures(records, failed *int64) jobFailures {
	switch {
	case failed == nil && records == nil:
		return jobFailures{}
	case failed == nil:
		return jobFailures{Words: grouped(*records) + " rows"}
	case records == nil || *records <= 0:
		return jobFailures{Words: grouped(*failed) + " failed"}
	case *failed == 0:
		return jobFailures{Words: "none of " + grouped(*records), Bar: true}
	}
	part := int(min(100, max(2, float64(*failed)/float64(*records)*100)))
	return jobFailures{Words: grouped(*failed) + " of " + grouped(*records), Bar: true, Part: part}
}

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// jobAge is how long a job has taken: as words, and as a bar of 100 of which the first half is the
// time that such jobs take, and the second the time until it is overdue.
type jobAge struct {
	Words, Class string
	Bar          bool
	Part         int
}

// jobProgress is the age of a job that has not ended.
func jobProgress(state api.State, due *api.Due, at, changed, now time.Time) jobAge {
	age := max(0, now.Sub(at)) // a clock may have been ahead
	switch {
	case state == "lost":
		return jobAge{Words: fmt.Sprintf("lost %s, after %s", since(now, changed), words.Length(changed.Sub(at))), Class: "bad", Bar: true, Part: 100}
	case due == nil:
		return jobAge{Words: words.Length(age) + "; not submitted here"}
	}
	expected, deadline := due.Expected.Sub(at), due.Overdue.Sub(at)
	switch {
	case state == "overdue" || age >= deadline:
		return jobAge{Words: fmt.Sprintf("%s, overdue %s, given up %s", words.Length(age), since(now, due.Overdue), since(now, due.Lost)), Class: "mixed", Bar: true, Part: 100}
	case age <= expected:
		return jobAge{Words: fmt.Sprintf("%s of %s, overdue %s", words.Length(age), words.Length(expected), since(now, due.Overdue)), Class: "good", Bar: true, Part: part(age, expected, 50)}
	}
	return jobAge{
		Words: fmt.Sprintf("%s, expected %s, overdue %s", words.Length(age), words.Length(expected), since(now, due.Overdue)), Bar: true,
		Part: 50 + part(age-expected, deadline-expected, 50),
	}
}

// part is how much of a whole there is, of so many.
func part(d, whole time.Duration, of int) int {
	if whole <= 0 {
		return of
	}
	return max(0, min(of, int(float64(d)/float64(whole)*float64(of))))
}

// clip bounds a text from outside where it is one of many.
func clip(v any) string { return beginning(fmt.Sprint(v), 48) }

// Name is the id, cut if it is long.
func (r jobRow) Name() string { return clip(r.ID) }

// Thing is the object, cut if it is long.
func (r jobRow) Thing() string { return clip(r.Object) }

// Word is the platform's word, cut if it is long.
func (r jobRow) Word() string { return clip(r.Status) }
