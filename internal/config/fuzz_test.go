package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/config"

	"go.yaml.in/yaml/v3"
)

var (
	// secretKeys are the keys of config.yaml whose values are secrets.
	secretKeys = regexp.MustCompile(`^(element_token|user_secret|organization_secret|value|token|identity)$`)
	// peculiar texts are unlike any word that a fault is made of.
	peculiar = regexp.MustCompile(`[A-Za-z].*[0-9]|[0-9].*[A-Za-z]`)
)

// secretsIn finds the texts given as secrets that stand once in the file and
// are long enough not to turn up by chance.
func secretsIn(text []byte) []string {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil {
		return nil
	}
	var found []string
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, c := range n.Content {
			walk(c)
			if n.Kind != yaml.MappingNode || i%2 == 0 || !secretKeys.MatchString(n.Content[i-1].Value) {
				continue
			}
			s := c.Value
			reference := strings.HasPrefix(s, "env:") || strings.HasPrefix(s, "file:")
			if len(s) >= 8 && peculiar.MatchString(s) && !reference && strings.Count(string(text), s) == 1 {
				found = append(found, s)
			}
		}
	}
	walk(&doc)
	return found
}

// FuzzLoad holds that no file makes Load panic, and that no error, warning or
// printed configuration holds a secret.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(manual)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, seed := range []string{
		crm, "private: {token: env:GIVEN_SECRET}", "private: {token: hunter2-hunter2, x: [}", "a: &a [*a, *a]\nb: *a\n",
		"sources: {crm: {base_url: env:GIVEN_SECRET, signature_keys: [{value: \"env:GIVEN_SECRET\", not_after: x}]}}",
		"private:\n  token: hunter2 hunter2\n---\nx", "sources: {? {a: b} : c, crm: [*x]}", "private: {token: *hunter2hunter2}",
		"private: {token: [hunter2hunter2]}", "encryption: {recipients: [AGE-SECRET-KEY-1hunter2], identity: hunter2hunter2}", "log: {level: !!binary aGVsbG8=}\n<<: {}", "? \n: \n", "\xef\xbb\xbf--- !t\n...\n",
	} {
		f.Add([]byte(seed))
	}
	const marker = "marker-of-the-given-secret\x01"
	env := []string{
		"GIVEN_SECRET=" + marker,
		"RECEIVER_SOURCES_CRM_ELEMENT_TOKEN=" + marker,
		"RECEIVER_SOURCES_WEB_SIGNATURE_KEYS=" + marker + ",,",
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		secrets := append(secretsIn(text), "marker-of-the-given-secret")
		for _, env := range [][]string{nil, env, env[:1]} {
			c, err := config.Load(config.Options{Path: path, Env: env})
			if (c == nil) == (err == nil) {
				t.Fatalf("Load = %v, %v, want one of them", c, err)
			}
			said := ""
			if err != nil {
				said = strings.ReplaceAll(err.Error(), path, "")
			} else {
				said = effective(t, c) + strings.ReplaceAll(strings.Join(c.Warnings, "\n"), path, "")
			}
			for _, s := range secrets {
				if strings.Contains(said, s) {
					t.Errorf("the secret %q is told in %s", s, said)
				}
			}
		}
	})
}

func FuzzParseByteSize(f *testing.F) {
	for _, seed := range []string{"0", "8MiB", "9223372036854775807", "1536KiB", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := config.ParseByteSize(text)
		if err != nil {
			return
		}
		if again, err := config.ParseByteSize(size.String()); size < 0 || again != size || err != nil {
			t.Errorf("ParseByteSize(%q) = %d, which reads back as %d, %v", text, size, again, err)
		}
	})
}
