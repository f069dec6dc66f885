package page

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"receiver/api"
	"receiver/internal/page/perminute"
	"receiver/internal/plain"
	"receiver/internal/words"
)

//go:embed templates/*.html
var templates embed.FS

// views are the templates by view, each with the frame and all parts.
// Commands that open no listener do not parse them.
var views = sync.OnceValue(func() map[string]*template.Template {
	parts := template.Must(template.New("").Funcs(functions).ParseFS(templates, "templates/_*.html"))
	all := map[string]*template.Template{}
	files, err := fs.Glob(templates, "templates/[^_]*.html")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		all[strings.TrimSuffix(path.Base(file), ".html")] = template.Must(template.Must(parts.Clone()).ParseFS(templates, file))
	}
	return all
})

// functions are what the templates can call.
var functions = template.FuncMap{
	"inert":   func(v any) string { return plain.Text(fmt.Sprint(v)) },
	"lines":   func(v any) string { return plain.Lines(fmt.Sprint(v)) },
	"segment": segment,
	"job":     func(source, id string) string { return jobName{source, id}.Address() },
	"query":   url.QueryEscape,
	"ago":     func(t time.Time) moment { return moment{t, since(time.Now(), t)} },
	"at":      func(t time.Time) moment { return moment{t, t.UTC().Format("2006-01-02 15:04:05 UTC")} },
	"count":   func(n any, noun string) (string, error) { return counted(n, noun) },
	"bytes":   words.Bytes,
	"clock":   func(t time.Time) moment { return moment{t, perminute.Clock(t)} },
	"spans":   spans,
}

// segment escapes text for one part of a path. A dot alone would be taken for a direction.
func segment(v any) string {
	escaped := url.PathEscape(fmt.Sprint(v))
	if strings.Trim(escaped, ".") == "" {
		return strings.ReplaceAll(escaped, ".", "%2E")
	}
	return escaped
}

// moment is a time and how it is shown; templates/_parts.html has its markup, "time".
type moment struct {
	At   time.Time
	Text string
}

// since says how long before now a time was, or how long after.
func since(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + words.Length(-d)
	}
	return words.Length(d) + " ago"
}

// counted is a number with its noun.
func counted(n any, noun string) (string, error) {
	switch n := n.(type) {
	case int:
		return words.Count(n, noun), nil
	case int64:
		return words.Count(n, noun), nil
	case uint64:
		return words.Count(n, noun), nil
	}
	return "", fmt.Errorf("count: %T is no number", n)
}

// frame is what every view's template gets.
type frame struct {
	*visit
	View, Title string
	// Data is the view's own.
	Data any
	// Live are the ids of the elements that are fetched again when something changes.
	Live []string
}

// Self is the address of the view.
func (f frame) Self() string { return f.r.URL.RequestURI() }

// SignedIn reports whether the browser has a token.
func (f frame) SignedIn() bool { return f.token != "" }

// Holder is the name of the browser's token.
func (f frame) Holder() string { return f.holder.Name }

// Nav are the views that the browser's token opens.
func (v *visit) Nav() []place {
	var all []place
	for _, at := range places {
		if len(v.holder.Scopes) > 0 && (at.Scope == "" || v.May(at.Scope)) {
			at.Here = at.Path == v.r.URL.Path || at.Path != "/" && strings.HasPrefix(v.r.URL.Path, at.Path+"/")
			all = append(all, at)
		}
	}
	return all
}

// place is an entry of the navigation.
type place struct {
	Path, Name, Scope string
	Here              bool
}

var places = []place{
	{Path: "/", Name: "Overview", Scope: "read"},
	{Path: "/jobs", Name: "Jobs", Scope: "read"},
	{Path: "/callbacks", Name: "Callbacks", Scope: "audit"},
	{Path: "/submit", Name: "Submit", Scope: "submit"},
	{Path: "/forwarding", Name: "Forwarding", Scope: "read"},
	{Path: "/evidence", Name: "Evidence", Scope: "audit"},
	{Path: "/actions", Name: "Actions", Scope: "audit"},
	{Path: "/check", Name: "Check"},
}

// show answers with a view. Its template is templates/view.html; live are the ids of the elements
// of it that are fetched again when something changes.
func (v *visit) show(name, title string, data any, live ...string) error {
	var page bytes.Buffer
	if err := views()[name].ExecuteTemplate(&page, "frame", frame{visit: v, View: name, Title: title, Data: data, Live: live}); err != nil {
		return fmt.Errorf("making the view %s: %w", name, err)
	}
	v.send(page.Bytes())
	return nil
}

// send answers with HTML.
func (v *visit) send(html []byte) {
	v.w.Header().Set("Content-Type", mediaType)
	v.w.WriteHeader(cmp.Or(v.status, http.StatusOK))
	if _, err := v.w.Write(html); err != nil {
		v.p.Log.Debug().Err(err).Msg("sending an answer failed")
	}
}

// mediaType is that of every view.
const mediaType = "text/html; charset=utf-8"

// back sends the browser to a view after a change.
func (v *visit) back(address string) error {
	http.Redirect(v.w, v.r, address, http.StatusSeeOther)
	return nil
}

// fail answers with what went wrong.
func (v *visit) fail(err error) {
	known := new(api.Problem)
	if !errors.As(err, &known) {
		v.p.Log.Warn().Err(err).Str("path", v.r.URL.Path).Msg("making a page failed")
		known = api.Unavailable.Problem("%v; try again", err)
	}
	if known.Status == http.StatusUnauthorized {
		address := "/signin"
		if v.r.Method == http.MethodGet {
			address += "?next=" + url.QueryEscape(v.r.URL.RequestURI())
		}
		_ = v.back(address)
		return
	}
	v.status = known.Status
	if err := v.show("problem", known.Title, known); err != nil {
		v.p.Log.Warn().Err(err).Str("path", v.r.URL.Path).Msg("making a page failed")
	}
}
