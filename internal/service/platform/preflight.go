package platform

import (
	"context"
	"errors"
	"sync"
	"time"

	"receiver/internal/plain"
	"receiver/internal/preflight"
	"receiver/internal/submit"
)

// preflightTimeout bounds the requests of Preflight: an upload waits for them.
const preflightTimeout = 10 * time.Second

// Preflight checks the beginning of a file that is to be uploaded to an object. It asks the
// platform for the object's fields if the file is a table. If the platform does not give them in
// ten seconds, the report has a warning.
func Preflight(ctx context.Context, c *submit.Client, object string, f preflight.File) preflight.Report {
	report := preflight.Check(f, preflight.Target{})
	if len(report.Columns) == 0 {
		return report
	}
	return preflight.Check(f, target(ctx, c, object))
}

// target asks for the fields of an object and, at the same time, for its type.
func target(ctx context.Context, c *submit.Client, object string) preflight.Target {
	ctx, cancel := context.WithTimeoutCause(ctx, preflightTimeout, errors.New("the platform did not answer in time"))
	defer cancel()
	var objects []submit.Object
	var unlisted error
	var list sync.WaitGroup
	list.Go(func() { objects, unlisted = c.Objects(ctx) })
	m, err := c.Metadata(ctx, object)
	list.Wait()

	t := preflight.Target{Object: object}
	listed := false
	for _, o := range objects {
		t.Objects = append(t.Objects, o.Name)
		if o.Name == object {
			listed, t.Mapped = true, o.Type == "vdr" || o.Type == "ceCanonical"
		}
	}
	for _, f := range m.Fields {
		if f.VendorPath != "" {
			t.Fields = append(t.Fields, field(f))
		}
	}
	switch {
	case errors.Is(err, submit.ErrNotFound) && unlisted == nil && len(objects) > 0 && !listed:
		t.Missing = true
	case err != nil:
		t.Unknown = plain.Text(err.Error())
	case len(t.Fields) == 0:
		t.Unknown = "the platform lists no field of it"
	}
	return t
}

// field is a field of the platform as a check of columns takes it. Where the platform does not
// say that a field is required or only read, it is neither.
func field(f submit.Field) preflight.Field {
	is := func(b *bool) bool { return b != nil && *b }
	isNot := func(b *bool) bool { return b != nil && !*b }
	return preflight.Field{
		Name: f.VendorPath, Display: f.VendorDisplayName, Required: is(f.VendorRequired),
		ReadOnly: is(f.VendorReadOnly) || isNot(f.Createable) && isNot(f.Updateable),
	}
}
