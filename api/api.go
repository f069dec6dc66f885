// Package api is the contract of the private listener: the document openapi.yaml, the types that
// oapi-codegen makes of it, and the errors that every operation may answer with. Server, client and
// commands share them, so that what a command prints is what the API answers. The contract of the
// messages in NATS is beside it, asyncapi.yaml.
//
// It decides nothing and speaks to nobody.
package api

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// OpenAPI is the contract, in YAML. It is the single source: routes, types, scopes and the names of
// parameters come from it.
//
//go:embed openapi.yaml
var OpenAPI []byte

// AsyncAPI is the contract of the streams, in YAML: every subject, header and payload.
//
//go:embed asyncapi.yaml
var AsyncAPI []byte

// Operation is one operation of the contract.
type Operation struct {
	// ID is the name of the operation.
	ID string
	// Method and Path are those of the request; names in braces stand for what is in the path.
	Method, Path string
	// Scope is what a token needs; empty for an operation that needs no token.
	Scope string
	// Query are the parameters that it takes, and whether each may stand there more than once.
	Query map[string]bool
	// Statuses are those of its answers in the contract, but for problems.
	Statuses []int
}

// Operations returns the operations of the contract, by path. They must not be changed.
func Operations() []Operation { return operations() }

var operations = sync.OnceValue(func() []Operation {
	all, err := read(OpenAPI)
	if err != nil {
		panic(err) // the document is a part of the program, and its tests read it
	}
	return all
})

// The parts of the document that are read here.
type (
	document struct {
		Paths      map[string]map[string]yaml.Node
		Components struct{ Parameters map[string]parameter }
	}
	operation struct {
		ID         string       `yaml:"operationId"`
		Scope      string       `yaml:"x-scope"`
		Security   *[]yaml.Node // an empty list: no token
		Parameters []parameter
		Responses  map[string]yaml.Node
	}
	parameter struct {
		Ref    string `yaml:"$ref"`
		Name   string
		In     string
		Schema struct{ Type string }
	}
)

func read(text []byte) ([]Operation, error) {
	var d document
	if err := yaml.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	var all []Operation
	for path, methods := range d.Paths {
		for method, node := range methods {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := node.Decode(&o); err != nil {
				return nil, fmt.Errorf("reading openapi.yaml, %s %s: %w", method, path, err)
			}
			made := Operation{ID: o.ID, Method: strings.ToUpper(method), Path: path, Scope: o.Scope, Query: map[string]bool{}}
			if open := o.Security != nil && len(*o.Security) == 0; open == (o.Scope != "") {
				return nil, fmt.Errorf("openapi.yaml: %s %s needs either x-scope or an empty security", method, path)
			}
			for _, p := range o.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = d.Components.Parameters[name]
				}
				if p.In == "query" {
					made.Query[p.Name] = p.Schema.Type == "array"
				}
			}
			for status := range o.Responses {
				if code, err := strconv.Atoi(status); err == nil { // or it is default
					made.Statuses = append(made.Statuses, code)
				}
			}
			slices.Sort(made.Statuses)
			all = append(all, made)
		}
	}
	slices.SortFunc(all, func(a, b Operation) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	})
	return all, nil
}
