package page

import (
	"net/http"
	"net/url"
	"strings"

	"receiver/api"
	"receiver/api/client"
)

// jobName names the job that a request is about.
type jobName struct {
	Source, ID string
}

// named is the job in the address of a request.
func named(r *http.Request) (jobName, error) {
	n := jobName{r.PathValue("source"), r.PathValue("job")}
	if given := r.URL.Query().Get("id"); n.ID == "-" && given != "" && apart(given) {
		n.ID = given
	}
	if dots(n.Source) {
		return n, api.UnknownSource.Problem("no source %q is configured", n.Source)
	}
	return n, nil
}

// Address is that of the view of the job.
func (n jobName) Address() string { return n.address("") }

// address is that of something behind the view of the job, with parameters in pairs.
func (n jobName) address(behind string, more ...string) string {
	part, q := segment(n.ID), url.Values{}
	if apart(n.ID) {
		part = "-"
		q.Set("id", n.ID)
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	address := "/jobs/" + segment(n.Source) + "/" + part + behind
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

// apart reports whether an id is a parameter, and not a part of the path: a browser takes one of
// dots for a direction, and ServeMux a slash for the end, however they are escaped.
func apart(id string) bool { return dots(id) || id == "/" }

func dots(id string) bool { return strings.Trim(id, ".") == "" }

// asked is the id as the client takes it, and what completes its request.
func (n jobName) asked() (string, client.RequestEditorFn) { return client.PathID(n.ID) }
