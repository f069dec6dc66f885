package logs_test

import (
	"regexp"
	"strings"
	"testing"

	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/service/logs"
)

// The contract of the streams allows the name of an installation one form, in every subject of a
// checkpoint. Without a domain it is what it was before there were domains.
func TestPlacesAreDistinctAndFitTheContract(t *testing.T) {
	form, seen := regexp.MustCompile(`^[a-z0-9-]{1,32}$`), map[string]config.Audit{}
	for _, c := range []config.Audit{
		{Origin: "receiver", Name: "eu-1"}, {Origin: "hooks.example.com", Name: "eu-1"}, {Origin: "hooks.example", Name: "eu-1"},
		{Origin: "hooks-example.com", Name: "eu-1"}, {Origin: "a", Name: "b"}, {Origin: "a", Name: strings.Repeat("b", 32)},
		{Origin: "a", Name: strings.Repeat("b", 31) + "c"}, {Origin: strings.Repeat("a", 253), Name: strings.Repeat("b", 32)},
	} {
		place := logs.Place(c)
		if other, ok := seen[place]; ok || !form.MatchString(place) {
			t.Errorf("Place(%s/%s) = %q, as that of %s/%s, want another one of %s", c.Origin, c.Name, place, other.Origin, other.Name, form)
		}
		seen[place] = c
	}
	if got := logs.Place(config.Audit{Origin: "receiver", Name: "eu-1"}); got != "eu-1" {
		t.Errorf("Place without a domain = %q, want the name", got)
	}
}

// A key is believed for the logs of its installation whatever name it was given with.
func TestKeysAreBelievedUnderEveryName(t *testing.T) {
	key, err := logkey.Generate("old")
	if err != nil {
		t.Fatal(err)
	}
	c := config.Audit{Origin: "hooks.example.com", Name: "new", VerifierKeys: []string{key.VerifierKey("receiver/old/JOBS")}}
	keys, err := logs.Keys(c, "receiver/older/JOBS")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range keys.Log {
		names = append(names, k.Name())
	}
	want := "receiver/old/JOBS receiver/older/JOBS hooks.example.com/new/JOBS hooks.example.com/new/ATTEMPTS hooks.example.com/new/ACTIONS"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("Keys are named %s, want %s", got, want)
	}
	given, err := logs.ArchiveKeys(c, true, "hooks.example.com/new/JOBS")
	if err != nil || len(given.Log) != 1 || given.Log[0].Name() != "receiver/old/JOBS" {
		t.Errorf("ArchiveKeys that were given = %v, %v, want the one under its own name", given.Log, err)
	}
}
