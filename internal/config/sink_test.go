package config_test

import (
	"encoding/base64"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/config"
	"receiver/internal/job"
)

// sinkSecret is a secret of Standard Webhooks of that many bytes.
func sinkSecret(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", n)))
}

// TestSinkFaults: one line for each wrong sink, with what is allowed instead.
func TestSinkFaults(t *testing.T) {
	good := "name: a, url: https://a.example.com/x, secret: " + sinkSecret(24)
	for _, row := range []struct{ name, sink, want string }{
		{"no name", strings.Replace(good, "name: a, ", "", 1), "sinks[0].name: is empty, but the sink's position is kept under it; allowed: 1 to 32 of a-z 0-9 -"},
		{"a name that is no word", strings.Replace(good, "name: a", "name: a.b", 1), `sinks[0].name: "a.b" is not a valid name`},
		{"two of one name", good + "}, {" + good, `sinks[1].name: "a" is the name of another sink`},
		{"no address", strings.Replace(good, "https://a.example.com/x", `""`, 1), "sinks[0].url: is empty; allowed: https://…"},
		{"clear text", strings.Replace(good, "https:", "http:", 1), `sinks[0].url: "http://a.example.com/x" is not https; allowed: https://…, or http:// on loopback`},
		{"clear text with a token", strings.Replace(good, "https://a.example.com/x", "'http://a.example.com/x?code=hunter2'", 1), `sinks[0].url: "http://a.example.com/x" is not https`},
		{"credentials in the address", strings.Replace(good, "a.example.com", "u:hunter2@a.example.com", 1), "sinks[0].url: contains credentials"},
		{"a fragment", strings.Replace(good, "https://a.example.com/x", "'https://a.example.com/x?y#z'", 1), "sinks[0].url: has a fragment"},
		{"no secret", strings.Replace(good, sinkSecret(24), `""`, 1), "sinks[0].secret: is empty, so the endpoint could not tell an event from a forgery; allowed: whsec_"},
		{"a secret of another form", strings.Replace(good, "whsec_", "hunter2", 1), "sinks[0].secret: the secret does not begin with whsec_; allowed: whsec_ and the base64"},
		{"a secret that is not base64", strings.Replace(good, "whsec_", "whsec_!", 1), "sinks[0].secret: the secret is not base64 after whsec_"},
		{"a short secret", strings.Replace(good, sinkSecret(24), sinkSecret(23), 1), "sinks[0].secret: the secret has 23 bytes after whsec_"},
		{"a long secret", strings.Replace(good, sinkSecret(24), sinkSecret(65), 1), "sinks[0].secret: the secret has 65 bytes after whsec_"},
		{"a wrong previous secret", good + ", previous_secret: hunter2", "sinks[0].previous_secret: the secret does not begin with whsec_"},
		{"an unknown source", good + ", sources: [crn]", `sinks[0].sources[0]: "crn" is not a source of this configuration (did you mean crm?); allowed: crm`},
		{"an unknown kind", good + ", kinds: [finish]", `sinks[0].kinds[0]: "finish" is unknown (did you mean finished?); allowed: submitted, progress, finished,`},
		{"another beginning", good + ", from: old", `sinks[0].from: "old" is unknown (did you mean all?); allowed: new, all`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := strings.Join(complaints(t, crm+"sinks: [{"+row.sink+"}]\n", nil), "\n")
			if !strings.Contains(got, row.want) {
				t.Errorf("Load complains %q, want %q", got, row.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("Load repeats what may be a secret: %q", got)
			}
		})
	}
}

// TestSinkAsItIsUsed holds the defaults of a sink, the keys that sign, and that its address is kept
// to the letter.
func TestSinkAsItIsUsed(t *testing.T) {
	c := load(t, crm+"sinks: [{name: a, url: 'http://127.0.0.1:1/x/?code=y', secret: env:NEW, previous_secret: env:OLD}]\n",
		"NEW="+sinkSecret(32), "OLD="+sinkSecret(24))
	s := c.Sinks[0]
	if s.URL != "http://127.0.0.1:1/x/?code=y" || s.From != config.FromNew || s.Sources != nil || s.Kinds != nil {
		t.Errorf("sinks[0] = %+v, want its address as given, from new, all sources and kinds", s)
	}
	if keys := s.Secrets(); len(keys) != 2 || len(keys[0]) != 32 || len(keys[1]) != 24 {
		t.Errorf("Secrets() = %d keys, want the current one of 32 bytes, then the previous one of 24", len(keys))
	}
	if text := effective(t, c); strings.Contains(text, "whsec_") {
		t.Errorf("config print shows a secret: %s", text)
	}
}

// TestSinkKindsAreThoseOfEvents: config may import no other package, so it has the kinds itself.
func TestSinkKindsAreThoseOfEvents(t *testing.T) {
	kinds, _ := reflect.TypeFor[config.Sink]().FieldByName("Kinds")
	for kind := range strings.SplitSeq(kinds.Tag.Get("oneof"), ",") {
		token := "1"
		if kind == string(job.Unrecognised) {
			token = job.BodySHA256(nil)
		}
		if _, _, _, err := job.ParseSubject("jobs.crm." + token + "." + kind); err != nil {
			t.Errorf("sinks may ask for kind %q: %v", kind, err)
		}
	}
	if n := strings.Count(kinds.Tag.Get("oneof"), ","); n != 7 {
		t.Errorf("sinks may ask for %d kinds, want the 8 of package job", n+1)
	}
}

// TestManualSinkLoads holds the example of sinks in config.yaml.
func TestManualSinkLoads(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?s)#   sinks:\n.*\nsinks: \[\]\n`).FindString(string(text))
	example, _, _ = strings.Cut(example, "sinks: []")
	example = regexp.MustCompile(`(?m)^#   `).ReplaceAllString(example, "")
	path := write(t, "config.yaml", crm+example)
	writeBeside(t, path, "orders.key", sinkSecret(32))
	c, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatalf("the example of sinks in config.yaml: %v", err)
	}
	if len(c.Sinks) != 1 || c.Sinks[0].Name != "orders" || len(c.Sinks[0].Kinds) != 2 {
		t.Errorf("sinks = %+v, want the example", c.Sinks)
	}
	fields := reflect.TypeFor[config.Sink]()
	for i := range fields.NumField() {
		if key := fields.Field(i).Tag.Get("key"); !strings.Contains(example, key+":") {
			t.Errorf("the example of sinks in config.yaml has no %s", key)
		}
	}
}
