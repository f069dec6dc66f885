package page

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"receiver/api"
	"receiver/api/client"
)

// jobAction does something about a job, and goes back to it.
func (p *Page) jobAction(v *visit) error {
	n, err := named(v.r)
	if err != nil {
		return err
	}
	action := v.r.PathValue("action")
	body, err := v.change(n, action)
	problem := new(api.Problem)
	switch {
	case errors.As(err, &problem) && problem.Status != http.StatusUnauthorized:
		return v.showJob(n, problem)
	case err != nil:
		return err
	}
	defer body.Close()
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	return v.back(n.address("", "done", action))
}

// change asks the API for an action.
func (v *visit) change(n jobName, action string) (io.ReadCloser, error) {
	id, edit := n.asked()
	ctx, reason := v.r.Context(), v.r.PostFormValue("reason")
	switch action {
	case "poll":
		return client.Body(v.api.PollJob(ctx, n.Source, id, &api.PollJobParams{Reason: reason}, edit))
	case "cancel":
		return client.Body(v.api.CancelJob(ctx, n.Source, id, &api.CancelJobParams{Reason: reason}, edit))
	case "release":
		return client.Body(v.api.ReleaseJob(ctx, n.Source, id, &api.ReleaseJobParams{Reason: reason}, edit))
	case "replay":
		return client.Body(v.api.ReplayJob(ctx, n.Source, id, &api.ReplayJobParams{Kind: api.Kind(v.r.PostFormValue("kind")), Reason: reason}, edit))
	}
	return nil, api.NoSuchPath.Problem("there is nothing at %s", v.r.URL.Path)
}

// jobResult passes the result of a job on as a file, as it comes.
func (p *Page) jobResult(v *visit) error {
	n, err := named(v.r)
	if err != nil {
		return err
	}
	id, edit := n.asked()
	q := v.r.URL.Query()
	format := cmp.Or(q.Get("format"), "csv")
	body, err := client.Body(v.api.GetJobResult(v.r.Context(), n.Source, id, &api.GetJobResultParams{Object: q.Get("object"), Format: api.GetJobResultParamsFormat(format)}, edit))
	if err != nil {
		return err
	}
	defer body.Close()
	h := v.w.Header()
	h.Set("Content-Type", map[string]string{"csv": "text/csv", "json": "application/json", "jsonl": "application/jsonl"}[format])
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fileName(n.Source+"-"+n.ID) + "." + format}))
	if _, err := io.Copy(v.w, body); err != nil {
		return http.ErrAbortHandler
	}
	return nil
}

// fileName is a text as the name of a file anywhere.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' {
			return r
		}
		return '_'
	}, text)
	return name[:min(len(name), 64)]
}
