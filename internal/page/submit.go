package page

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/page/filecheck"
	"receiver/internal/plain"
)

// submitForm is what the form for a file shows, step by step: the source, the object, the file.
type submitForm struct {
	Sources        []string
	Source, Object string
	// Objects are names that the platform has for the source, More how many are not listed here,
	// and Unlisted why none is.
	Objects  []string
	More     int
	Unlisted string
	// Fields are those of the object, MoreFields how many are not listed here, and Undescribed why
	// none is.
	Fields      []fieldRow
	MoreFields  int
	Undescribed string
	// Key names the submission: the form that is sent twice submits once.
	Key               string
	Metadata, Payload string
	// Problem is why the file was not submitted, or not checked; nil without one.
	Problem *api.Problem
	// Check is what was found in the beginning of a file; nil without a check.
	Check *filecheck.File
}

// fieldRow is a field of an object.
type fieldRow struct {
	Name, Type         string
	Required, ReadOnly bool
}

const (
	// objectsShown and fieldsShown bound what the form lists, so that the page stays small.
	objectsShown, fieldsShown = 500, 200
	// askingPlatform bounds what the form waits for the platform; names can be typed.
	askingPlatform = 10 * time.Second
)

// maySubmit refuses a token that lacks a scope which the form needs.
func (v *visit) maySubmit() error {
	for _, scope := range []string{"submit", "read"} {
		if !v.May(scope) {
			return api.MissingScope.Problem("the token lacks the scope %s; use one that has it: receiver tokens add NAME --scope submit,read", scope)
		}
	}
	return nil
}

// submitting shows the form.
func (p *Page) submitting(v *visit) error {
	if err := v.maySubmit(); err != nil {
		return err
	}
	q := v.r.URL.Query()
	return v.submitForm(submitForm{Source: q.Get("source"), Object: q.Get("object")})
}

// submitForm shows the form as far as it is filled in.
func (v *visit) submitForm(f submitForm) error {
	if plain.Text(f.Object) != f.Object {
		return api.BadRequest.Problem("the name of an object has no control or invisible characters")
	}
	known, err := client.Answer[api.Sources](v.api.ListSources(v.r.Context()))
	if err != nil {
		return err
	}
	for _, s := range known.Sources {
		f.Sources = append(f.Sources, s.Name)
	}
	if f.Source == "" && len(f.Sources) == 1 {
		f.Source = f.Sources[0]
	}
	if f.Source != "" && !slices.Contains(f.Sources, f.Source) {
		return api.UnknownSource.Problem("no source %.64q is configured", f.Source)
	}
	if f.Source != "" {
		v.askPlatform(&f)
	}
	if f.Key == "" {
		f.Key = rand.Text()
	}
	return v.show("submit", "Submit", f)
}

// askPlatform adds what the platform says of the source and the object. If it says nothing, the
// form goes without.
func (v *visit) askPlatform(f *submitForm) {
	ctx, cancel := context.WithTimeout(v.r.Context(), askingPlatform)
	defer cancel()
	var listing sync.WaitGroup
	defer listing.Wait()
	listing.Go(func() {
		all, err := client.Answer[api.Objects](v.api.ListObjects(ctx, f.Source))
		f.Unlisted = unanswered(err)
		for _, o := range all.Objects {
			switch {
			case plain.Text(o.Name) != o.Name: // nobody could read it
			case len(f.Objects) == objectsShown:
				f.More++
			default:
				f.Objects = append(f.Objects, o.Name)
			}
		}
	})
	if f.Object == "" {
		return
	}
	of, err := client.Answer[api.Metadata](v.api.GetObject(ctx, f.Source, f.Object))
	f.Undescribed = unanswered(err)
	is := func(b *bool) bool { return b != nil && *b }
	for _, field := range of.Fields {
		f.Fields = append(f.Fields, fieldRow{field.VendorPath, field.Type, is(field.VendorRequired), is(field.VendorReadOnly)})
	}
	slices.SortStableFunc(f.Fields, func(a, b fieldRow) int { return order(b.Required) - order(a.Required) })
	if more := len(f.Fields) - fieldsShown; more > 0 {
		f.Fields, f.MoreFields = f.Fields[:fieldsShown], more
	}
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unanswered is why the API gave no answer, in words; empty if it did.
func unanswered(err error) string {
	known := new(api.Problem)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known):
		return known.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "the platform did not answer in time"
	}
	return err.Error()
}

// submission shows what became of a submission that has no job yet.
func (p *Page) submission(v *visit) error {
	found, err := client.Answer[submissionShown](v.api.GetSubmission(v.r.Context(), v.r.PathValue("source"), v.r.PathValue("submission")))
	if err != nil {
		return err
	}
	return v.show("submission", "Submission", found, "submission")
}

// submissionShown is a submission as the page shows it.
type submissionShown struct{ api.Submission }

// At is the address of what a submission made: its job or, while that is not known, itself.
func (s submissionShown) At() string {
	if s.Job != "" {
		return jobName{s.Source, s.Job}.Address()
	}
	return "/submit/" + segment(s.Source) + "/" + segment(s.Name)
}

// accepts reports whether a script asks, which takes an answer of a media type.
func accepts(r *http.Request, mediaType string) bool { return r.Header.Get("Accept") == mediaType }
