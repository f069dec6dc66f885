package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestReferenceListsTheEnvironment holds the variables that the program reads besides its settings
// against the table of reference.md, both ways for ours.
func TestReferenceListsTheEnvironment(t *testing.T) {
	t.Parallel()
	listed := section(t, "reference.md", "## Environment variables")
	reads := regexp.MustCompile(`\b(?:[gG]etenv|LookupEnv)\(([^)]*)\)`)
	own := regexp.MustCompile(`envPrefix \+ "([A-Z_]*[A-Z])"`)
	elsewhere := regexp.MustCompile(`^internal/(bench|cluster|mutate|natstest|notices)/|^cmd/receiver-bench/|^examples/`) // other programs
	names := names{}
	for _, file := range mentioning(t) {
		if !strings.HasSuffix(file, ".go") || elsewhere.MatchString(file) {
			continue
		}
		text := read(t, "../"+file)
		for _, m := range reads.FindAllStringSubmatch(text, -1) {
			if m[1] == "string" || m[1] == "variable" || m[1] == "pathVariable" { // a type, env:NAME, and one of own
				continue
			}
			name := regexp.MustCompile(`(?m)^"([A-Z_]+)"$|^\s*(?:const )?` + regexp.QuoteMeta(m[1]) + ` += "([A-Z_]+)"`).FindStringSubmatch(m[1] + "\n" + text)
			if name == nil {
				t.Errorf("%s reads the variable %s: give its name there, or as a constant of that file", file, m[1])
				continue
			}
			names[name[1]+name[2]] = true
		}
		for _, m := range own.FindAllStringSubmatch(text, -1) {
			names["RECEIVER_"+m[1]] = true
		}
	}
	if len(names) < 8 {
		t.Fatalf("found the variables %v: this test does not read the code as it should", names)
	}
	for name := range names {
		if !strings.Contains(listed, "`"+name+"`") {
			t.Errorf("reference.md has no row for the environment variable %s, which the program reads", name)
		}
	}
	for _, m := range regexp.MustCompile("`(RECEIVER_[A-Z_]+)`").FindAllStringSubmatch(listed, -1) {
		if !names[m[1]] {
			t.Errorf("reference.md has a row for %s, which the program does not read", m[1])
		}
	}
}
