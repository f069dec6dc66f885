package docs_test

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

// TestRenovateFindsTheToolsOfCI holds that the expression in renovate.json matches each version
// that .ci/run and the step to Echo v5 pin, so that none of them stays old unseen.
func TestRenovateFindsTheToolsOfCI(t *testing.T) {
	var config struct {
		CustomManagers []struct{ MatchStrings []string }
	}
	text, err := os.ReadFile("../renovate.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var script string
	for _, name := range []string{"../.ci/run", "echo-v5/step.sh"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		script += string(text)
	}
	found := map[string]bool{}
	for _, m := range config.CustomManagers {
		for _, s := range m.MatchStrings {
			for _, line := range regexp.MustCompile(s).FindAllString(script, -1) {
				found[line] = true
			}
		}
	}
	pinned := regexp.MustCompile(`(?m)^\w+=v?\d+\.\d.*$`).FindAllString(script, -1)
	if len(pinned) < 6 {
		t.Fatalf("%d versions are pinned, want at least 6: this test looks for the wrong lines", len(pinned))
	}
	for _, line := range pinned {
		if !found[line] {
			t.Errorf("%q has no comment %q, so renovate does not look for newer ones", line, "# renovate: DATASOURCE PACKAGE")
		}
	}
}
