// Package apitest holds requests and answers in tests to the contract, api/openapi.yaml, and
// messages to that of the streams, api/asyncapi.yaml.
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"receiver/api"
)

// Contract returns the contract. Its objects take no members but those that it names, so that one
// that is missing from it is found.
var Contract = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		return nil, err
	}
	inherited := map[*openapi3.Schema]bool{}
	for _, s := range doc.Components.Schemas {
		for _, part := range s.Value.AllOf {
			inherited[part.Value] = true
		}
	}
	for _, s := range doc.Components.Schemas {
		narrow(s.Value, inherited)
	}
	doc.Servers = nil // any address
	return doc, nil
})

func narrow(s *openapi3.Schema, inherited map[*openapi3.Schema]bool) {
	if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && !inherited[s] {
		no := false
		s.AdditionalProperties.Has = &no
	}
	for _, p := range s.Properties {
		narrow(p.Value, inherited)
	}
	if s.Items != nil {
		narrow(s.Items.Value, inherited)
	}
}

var router = sync.OnceValues(func() (routers.Router, error) {
	doc, err := Contract()
	if err != nil {
		return nil, err
	}
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.FileBodyDecoder)
	return gorillamux.NewRouter(doc)
})

// CheckValue fails the test if a value in JSON is not of a schema of the contract.
func CheckValue(t testing.TB, schema string, value []byte) {
	t.Helper()
	doc, err := Contract()
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Errorf("%.200s is not JSON: %v", value, err)
	} else if err := doc.Components.Schemas[schema].Value.VisitJSON(v); err != nil {
		t.Errorf("%.200s is no %s of the contract: %v", value, schema, short(err))
	}
}

// Serve has a handler answer a request, and fails the test if what was asked and answered is not in
// the contract. A request that is refused may be any.
func Serve(t testing.TB, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	Check(t, r, sent, w.Code, w.Header(), w.Body.Bytes())
	return w
}

// Check fails the test if a request, or the answer to it, is not in the contract.
func Check(t testing.TB, r *http.Request, sent []byte, status int, header http.Header, body []byte) {
	t.Helper()
	routes, err := router()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(r.URL.Path, "/tile/") {
		return // a name with slashes in it is none of OpenAPI's
	}
	asked := r.Clone(context.Background())
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	route, path, err := routes.FindRoute(asked)
	if err != nil {
		if status < http.StatusBadRequest {
			t.Errorf("%s %s was answered %d, and is not in the contract: %v", r.Method, r.URL, status, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: path, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if status < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			t.Errorf("%s %s was answered %d, and the contract does not allow it: %v", r.Method, r.URL, status, short(err))
		}
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
	if err != nil {
		t.Errorf("the answer to %s %s is not that of the contract: %d %q: %v", r.Method, r.URL, status, header.Get("Content-Type"), short(err))
	}
}

// short leaves out the schema that an error quotes.
func short(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\nSchema:")
	return errors.New(text)
}
