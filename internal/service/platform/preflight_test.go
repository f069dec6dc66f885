package platform_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/preflight"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// The list of objects and the list of fields decide together what a column is.
func TestPreflightComparesWithWhatThePlatformSays(t *testing.T) {
	const (
		fields  = `{"fields":[{"type":"string","vendorPath":"email","vendorRequired":true},{"type":"string","vendorPath":"id","createable":false,"updateable":false},{"type":"string"}]}`
		objects = `[{"name":"contact","type":"vendor"},{"name":"lead","type":"vdr"},{"name":"order","type":"ceCanonical"}]`
	)
	for _, tt := range []struct {
		name, object, fields, objects, file, want string
	}{
		{"a field", "contact", fields, objects, "email\na\n", ""},
		{"a vendor's object", "contact", fields, objects, "mail\na\n", "error unknown_column, error missing_column"},
		{"a resource that is mapped", "lead", fields, objects, "mail\na\n", "warning unknown_column, warning missing_column"},
		{"a canonical resource", "order", fields, objects, "mail\na\n", "warning unknown_column, warning missing_column"},
		{"names alone", "contact", fields, `["contact"]`, "mail\na\n", "error unknown_column, error missing_column"},
		{"an object that is not listed and has fields", "other", fields, objects, "mail\na\n", "error unknown_column, error missing_column"},
		{"no list of objects", "contact", fields, "", "mail\na\n", "error unknown_column, error missing_column"},
		{"neither created nor updated", "contact", fields, objects, "email,id\na,1\n", "warning read_only_column"},
		{"no such object", "leed", "", objects, "mail\na\n", "error unknown_object"},
		{"an object without fields", "lead", "", objects, "mail\na\n", "warning columns_not_compared"},
		{"no such object and no list", "leed", "", "", "mail\na\n", "warning columns_not_compared"},
		{"no such object and an empty list", "leed", "", "[]", "mail\na\n", "warning columns_not_compared"},
		{"an empty list of fields", "contact", `{"fields":[]}`, objects, "mail\na\n", "warning columns_not_compared"},
		{"no table", "contact", "ask not", "ask not", "<html>", "error html"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := tt.objects
				if strings.HasSuffix(r.URL.Path, "/objects/"+tt.object+"/metadata") {
					answer = tt.fields
				}
				switch answer {
				case "":
					http.NotFound(w, r)
				case "ask not":
					t.Errorf("the platform is asked for %s", r.URL.Path)
				default:
					_, _ = io.WriteString(w, answer)
				}
			}))
			defer p.Close()
			report := platform.Preflight(t.Context(), client(t, p.URL), tt.object, preflight.File{Head: []byte(tt.file), Whole: true})
			if got := kinds(report); got != tt.want {
				t.Errorf("Preflight finds %q, want %q", got, tt.want)
			}
		})
	}
}

// A caller that waits no longer gets its report.
func TestPreflightEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer p.Close()
	report := platform.Preflight(ctx, client(t, p.URL), "contact", preflight.File{Head: []byte("a\n1\n"), Whole: true})
	if got, want := kinds(report), "warning columns_not_compared"; got != want {
		t.Errorf("Preflight finds %q, want %q", got, want)
	}
}

func kinds(r preflight.Report) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, string(f.Severity)+" "+string(f.Kind))
	}
	return strings.Join(all, ", ")
}

func client(t *testing.T, url string) *submit.Client {
	t.Helper()
	c, err := submit.New(submit.Options{Source: "demo", BaseURL: url, Element: "e", User: "u"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
