package api_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"receiver/api"
	"receiver/api/apitest"
)

func TestTheContractIsValid(t *testing.T) {
	t.Parallel()
	doc, err := apitest.Contract()
	if err != nil {
		t.Fatal(err)
	}
	all := 0
	for _, path := range doc.Paths.Map() {
		all += len(path.Operations())
	}
	if n := len(api.Operations()); n != all {
		t.Errorf("Operations() has %d operations, the contract %d", n, all)
	}
}

// The page for engineers lists each operation with its scope, and each kind of problem with its
// status.
func TestThePageHasAllOperationsAndProblems(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range api.Operations() {
		scope := "`" + o.Scope + "`"
		if o.Scope == "" {
			scope = "none, and no token"
		}
		want = append(want, fmt.Sprintf("| `%s %s` | %s |", o.Method, o.Path, scope))
	}
	for _, k := range api.ProblemKinds {
		want = append(want, fmt.Sprintf("| `%s` | %d |", strings.TrimPrefix(k.Type(), "urn:receiver:problem:"), k.Status()))
	}
	for _, row := range want {
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/api.md lacks the row %s", row)
		}
	}
	if rows := strings.Count(string(page), "\n| `"); rows != len(want) {
		t.Errorf("docs/api.md has %d rows, want %d", rows, len(want))
	}
}
