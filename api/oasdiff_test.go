//go:build contract

package api_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"receiver/api"
)

// breaking returns what oasdiff, a tool of .ci/run, finds that breaks a client of the first
// contract; nothing if there is nothing.
func breaking(t *testing.T, was, is string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "oasdiff", "breaking", was, is, "--fail-on", "WARN", "--format", "singleline", "--color", "never").CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return string(out)
	} else if err != nil {
		t.Fatalf("oasdiff: %v\n%s", err, out)
	}
	return ""
}

// The contract of the HTTP API changes compatibly since the last release.
func TestTheContractChangesCompatibly(t *testing.T) {
	t.Parallel()
	if found := breaking(t, "released/openapi.yaml", "openapi.yaml"); found != "" {
		t.Errorf("incompatible with api/released/openapi.yaml:\n%s", found)
	}
}

// Each rule of docs/api.md, as a change of the contract and what is said of it; nothing, if it is
// compatible.
func TestIncompatibleChangesOfTheContractAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, from, to, want string }{
		{"no change", "", "", ""},
		{"a description", "summary: List jobs", "summary: All jobs", ""},
		{"a new parameter", "      parameters:\n        - {name: source, in: query", "      parameters:\n        - {name: extra, in: query, schema: {type: string}}\n        - {name: source, in: query", ""},
		{"a new member of an answer", "        message: {type: string}\n", "        message: {type: string}\n        more: {type: string}\n", ""},
		{"a member that is always there now", "required: [name, served, forbidden, limited]", "required: [name, served, forbidden, limited, last_used]", ""},
		{"a member", "        message: {type: string}\n", "        text: {type: string}\n", "message"},
		{"a member that may be absent", "required: [name, served, forbidden, limited]", "required: [name, served, forbidden]", "limited"},
		{"the type of a member", "              served: {type: integer, format: int64}", "              served: {type: string}", "served"},
		{"a state that clients do not know", "overdue, lost]", "overdue, lost, tired]", "tired"},
		{"an operation", "  /v1/tokens:\n", "  /v1/keyring:\n", "GET /v1/tokens"},
		{"a parameter", "        - {name: object, in: query, description: \"Only jobs of this object.\", schema: {type: string}}\n", "", "object"},
		{"a parameter that is required now", "{name: object, in: query, ", "{name: object, in: query, required: true, ", "object"},
		{"the type of a parameter", "{name: object, in: query, description: \"Only jobs of this object.\", schema: {type: string}}", "{name: object, in: query, description: \"Only jobs of this object.\", schema: {type: integer}}", "object"},
	} {
		text := string(api.OpenAPI)
		if !strings.Contains(text, tt.from) {
			t.Errorf("%s: api/openapi.yaml does not have %q: correct this table", tt.name, tt.from)
			continue
		}
		changed := filepath.Join(t.TempDir(), "openapi.yaml")
		if err := os.WriteFile(changed, []byte(strings.Replace(text, tt.from, tt.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		found := breaking(t, "openapi.yaml", changed)
		if (found == "") != (tt.want == "") || !strings.Contains(found, tt.want) {
			t.Errorf("%s: oasdiff says %q, want %q", tt.name, found, tt.want)
		}
	}
}
