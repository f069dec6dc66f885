package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"receiver/internal/config"

	"go.yaml.in/yaml/v3"
)

func TestSecretShowsOnlyItsFingerprint(t *testing.T) {
	const value, print = "hunter2", "sha256:f52fbd32"
	s := config.NewSecret(value)
	if s.Reveal() != value || string(s.Bytes()) != value || s.Empty() {
		t.Fatalf("Reveal, Bytes, Empty = %q, %q, %v, want the value back", s.Reveal(), s.Bytes(), s.Empty())
	}
	inJSON, err := json.Marshal(map[string]any{"a": s, "b": &s})
	if err != nil {
		t.Fatal(err)
	}
	inYAML, err := yaml.Marshal(map[string]any{"a": s, "b": &s})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"String": s.String(), "GoString": s.GoString(), "Fingerprint": s.Fingerprint(),
		"JSON": string(inJSON), "YAML": string(inYAML),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%t"} {
		shown[verb] = fmt.Sprintf(verb, s)
		shown["in a field "+verb] = fmt.Sprintf(verb, config.SignatureKey{Value: s})
	}
	for how, got := range shown {
		if strings.Contains(got, value) || !strings.Contains(got, print) {
			t.Errorf("%s of a secret = %s, want its fingerprint %s and never the value", how, got, print)
		}
	}
}

func TestSecretInAForeignStructIsNotPrinted(t *testing.T) {
	foreign := struct{ hidden config.Secret }{config.NewSecret("hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		got := fmt.Sprintf(verb, foreign)
		if strings.Contains(got, "hunter2") || strings.Contains(got, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func TestEmptySecret(t *testing.T) {
	var s config.Secret
	if !s.Empty() || s.Reveal() != "" || len(s.Bytes()) != 0 || s.String() != "" || s.Fingerprint() != "" {
		t.Errorf("the zero secret = %q %q, want empty", s.Reveal(), s.String())
	}
	if !reflect.DeepEqual(config.NewSecret(""), s) {
		t.Error(`NewSecret("") is not the zero Secret`)
	}
}

func TestSecretReferences(t *testing.T) {
	files := map[string]string{
		"lf": "k\n", "crlf": "k\r\n", "two": "k\n\n", "cr": "k\r", "bare": "k", "space": " k \n",
		"empty": "", "newline": "\n", "white": " \n \n", "binary": "\x01\xff", "large": strings.Repeat("k", 64<<10+1),
	}
	env := []string{"SET=from=env\n", "EMPTY=", "FINGERPRINT=sha256:00000000"}
	for _, row := range []struct{ reference, value, fault string }{
		{"plain", "plain", ""},
		{"env:SET", "from=env\n", ""},
		{"file:lf", "k", ""},
		{"file:./crlf", "k", ""},
		{"file:two", "k\n", ""},
		{"file:cr", "k\r", ""},
		{"file:bare", "k", ""},
		{"file:space", " k ", ""},
		{"file:binary", "\x01\xff", ""},
		{"$SET", "$SET", ""},
		{"${SET}", "${SET}", ""},
		{"env:UNSET", "", "environment variable UNSET is not set; allowed: the secret itself, env:NAME or file:PATH"},
		{"env:EMPTY", "", "the secret it refers to is empty; allowed: a secret of at least one byte"},
		{"env:hunter2!", "", "the text after env: is not the name of a variable; allowed: env:NAME"},
		{"env:FINGERPRINT", "", "this is the fingerprint of a secret, as printed by config print; "},
		{"file:", "", "file: has no file name; allowed: file:PATH"},
		{"file:empty", "", "the secret it refers to is empty; "},
		{"file:newline", "", "the secret it refers to is empty; "},
		{"file:white", "", "the secret is only white space; "},
		{"file:none", "", `secret file "none" cannot be read: no such file or directory; allowed: file:PATH of a readable file; `},
		{"file:.", "", `secret file "." cannot be read: is a directory; `},
		{"file:large", "", `secret file "large" cannot be read: it is larger than 64KiB; `},
	} {
		t.Run(row.reference, func(t *testing.T) {
			path := write(t, "config.yaml", "sources: {crm: {signature_keys: [{value: \""+row.reference+"\"}]}}\n")
			for name, content := range files {
				writeBeside(t, path, name, content)
			}
			c, err := config.Load(config.Options{Path: path, Env: env})
			switch {
			case row.fault == "" && err != nil:
				t.Errorf("Load = %v, want the secret %q", err, row.value)
			case row.fault == "":
				if got := c.Sources["crm"].SignatureKeys[0].Value.Reveal(); got != row.value {
					t.Errorf("secret = %q, want %q", got, row.value)
				}
			default:
				want := path + ":1: sources.crm.signature_keys[0].value: " + row.fault
				if err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("Load = %v, want %s", err, want)
				}
			}
		})
	}
}

func TestAbsoluteSecretFile(t *testing.T) {
	secret := write(t, "k", "abc\n")
	if !filepath.IsAbs(secret) {
		t.Fatalf("%s is not absolute", secret)
	}
	if got := load(t, "private: {token: \"file:"+secret+"\"}").Private.Token.Reveal(); got != "abc" {
		t.Errorf("token = %q, want abc", got)
	}
}

func TestReadSecretFile(t *testing.T) {
	for content, want := range map[string]string{"k": "k", "k\n": "k", "k\r\n": "k", "k\n\n": "k\n", " k": " k"} {
		got, err := config.ReadSecretFile(write(t, "k", content))
		if err != nil || got.Reveal() != want {
			t.Errorf("ReadSecretFile(%q) = %q, %v, want %q", content, got.Reveal(), err, want)
		}
	}
	for _, path := range []string{write(t, "k", ""), write(t, "k", "\n"), t.TempDir(), "none"} {
		if got, err := config.ReadSecretFile(path); err == nil || !got.Empty() || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadSecretFile(%s) = %v, %v, want an error that names it", path, got, err)
		}
	}
}

// A lazy Load leaves out a secret that cannot be read, and its use says why.
func TestLazySecrets(t *testing.T) {
	path := write(t, "config.yaml", "sources: {crm: {element_token: e, user_secret: env:NONE, signature_keys: [{value: file:none}]}}\naudit: {key: nonsense}\n")
	if _, err := config.Load(config.Options{Path: path}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("Load = %v, want three faults", err)
	}
	c, err := config.Load(config.Options{Path: path, Lazy: true})
	if err != nil {
		t.Fatalf("Load with Lazy = %v, want no error", err)
	}
	s := c.Sources["crm"]
	if err := config.Usable(s.ElementToken, s.OrganizationSecret); err != nil {
		t.Errorf("Usable of a secret with a value and one that is not configured = %v, want nil", err)
	}
	for name, secret := range map[string]config.Secret{"user_secret": s.UserSecret, "signature_keys[0].value": s.SignatureKeys[0].Value, "audit.key": c.Audit.Key} {
		err := config.Usable(s.ElementToken, secret)
		var use config.UseError
		if !errors.As(err, &use) || !strings.Contains(err.Error(), name) || secret.Empty() || secret.Reveal() != "" || secret.String() != "" {
			t.Errorf("%s: Usable = %v, Empty = %v, Reveal = %q, want an error that names it, and no value", name, err, secret.Empty(), secret.Reveal())
		}
	}
}
