package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/config"
)

func writeBeside(t *testing.T, path, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentGoesOverFileGoesOverDefault(t *testing.T) {
	c := load(t, crm+"log: {level: debug, format: json}\n",
		"RECEIVER_LOG_LEVEL=warn",
		"RECEIVER_CONFIG=elsewhere",
		"RECEIVER_SOURCES_CRM_BASE_URL=https://example.com/",
		"RECEIVER_SOURCES_CRM_TIMEOUTS_REQUEST=2s",
		"RECEIVER_LIMITS_READ_HEADER_TIMEOUT=1s",
		"RECEIVER_PUBLIC_TRUSTED_PROXIES=10.0.0.1, 10.1.0.0/16",
		"RECEIVERS=none of ours",
	)
	s := c.Sources["crm"]
	got := []any{c.Log, s.BaseURL, s.Timeouts, s.SignatureKeys[0].Value.Reveal(), c.Limits.ReadHeaderTimeout, len(c.Public.TrustedProxies)}
	want := []any{config.Log{Level: "warn", Format: "json"}, "https://example.com", config.Timeouts{Request: 2 * time.Second, Upload: time.Hour}, "s3cret", time.Second, 2}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEnvironmentAloneMakesASource(t *testing.T) {
	c, err := config.Load(config.Options{Env: []string{
		"RECEIVER_SOURCES_MY_CRM_SIGNATURE_KEYS=env:NEW, env:OLD,plain ",
		"RECEIVER_SOURCES_MY_CRM_CALLBACK_BASE_URL=https://example.com",
		"NEW=a,b", "OLD= o",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := c.Sources["my-crm"]
	if !ok || len(c.Sources) != 1 {
		t.Fatalf("sources = %v, want my-crm alone", c.Sources)
	}
	var got []string
	for _, k := range s.SignatureKeys {
		got = append(got, k.Name+"="+k.Value.Reveal())
	}
	if want := []string{"key-1=a,b", "key-2= o", "key-3=plain "}; !slices.Equal(got, want) {
		t.Errorf("keys = %q, want %q", got, want)
	}
	if s.CallbackBaseURL != "https://example.com" {
		t.Errorf("callback base URL = %q, want https://example.com", s.CallbackBaseURL)
	}
}

func TestEnvironmentReplacesLists(t *testing.T) {
	c := load(t, "sources: {crm: {signature_keys: [{value: a}, {value: b}]}}\npublic: {trusted_proxies: [10.0.0.1]}\n",
		"RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=c", "RECEIVER_PUBLIC_TRUSTED_PROXIES=")
	k := c.Sources["crm"].SignatureKeys
	if len(k) != 1 || k[0].Value.Reveal() != "c" || len(c.Public.TrustedProxies) != 0 {
		t.Errorf("keys = %v, proxies = %v, want one key and no proxy", k, c.Public.TrustedProxies)
	}
}

func TestVariablesTheFileNamesAreNotOverrides(t *testing.T) {
	c := load(t, "sources: {crm: {signature_keys: [{name: old, value: \"env:RECEIVER_SOURCES_CRM_SIGNATURE_KEYS\"}, {value: \"env:RECEIVER_OTHER\"}]}}\n",
		"RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=a,b", "RECEIVER_OTHER=c",
		"RECEIVER_PRIVATE_TOKEN=env:RECEIVER_THIRD", "RECEIVER_THIRD=d")
	k := c.Sources["crm"].SignatureKeys
	if len(k) != 2 || k[0].Name != "old" || k[0].Value.Reveal() != "a,b" || k[1].Value.Reveal() != "c" || c.Private.Token.Reveal() != "d" {
		t.Errorf("keys = %v, token = %v, want what the references name", k, c.Private.Token)
	}
}

func TestAValueThatIsOverriddenIsNotFollowed(t *testing.T) {
	c := load(t, crm+"private: {token: env:UNSET}\nlog: {level: loud}\n", "RECEIVER_PRIVATE_TOKEN=t", "RECEIVER_LOG_LEVEL=warn")
	if c.Private.Token.Reveal() != "t" || c.Log.Level != "warn" {
		t.Errorf("token, level = %v, %s, want those of the environment", c.Private.Token, c.Log.Level)
	}
}

func TestEnvironmentWarnsOfASourceTheFileDoesNotHave(t *testing.T) {
	c := load(t, crm, "RECEIVER_SOURCES_CMR_SIGNATURE_KEYS=x")
	want := "environment RECEIVER_SOURCES_CMR_SIGNATURE_KEYS: sources.cmr: is set only by environment variables; the file has no such source"
	if !slices.Equal(c.Warnings, []string{want}) {
		t.Errorf("warnings = %q, want %q", c.Warnings, want)
	}
}

func TestEnvironmentNamesOfSources(t *testing.T) {
	const two = "sources:\n  crm:\n" + key + "  crm-callback:\n" + key
	for _, row := range []struct{ name, text, env, want string }{
		{"known source, longer setting", crm, "RECEIVER_SOURCES_CRM_CALLBACK_BASE_URL=https://h", "crm callback https://h"},
		{"known source, shorter setting", strings.ReplaceAll(crm, "crm", "crm-callback"), "RECEIVER_SOURCES_CRM_CALLBACK_BASE_URL=https://h", "crm-callback base https://h"},
		{"two known sources", two, "RECEIVER_SOURCES_CRM_CALLBACK_BASE_URL=https://h",
			"environment RECEIVER_SOURCES_CRM_CALLBACK_BASE_URL: can mean sources.crm-callback.base_url or sources.crm.callback_base_url; allowed: set it in the file"},
		{"unknown setting", crm, "RECEIVER_SOURCES_CRM_BSE_URL=https://h",
			"environment RECEIVER_SOURCES_CRM_BSE_URL: is not the name of a setting (did you mean RECEIVER_SOURCES_CRM_BASE_URL?); allowed: RECEIVER_ and the path of a setting, such as RECEIVER_NATS_MODE"},
		{"no name", crm, "RECEIVER_SOURCES_HUB=x", "environment RECEIVER_SOURCES_HUB: is not the name of a setting"},
		{"lower case", crm, "RECEIVER_SOURCES_crm_HUB=x", "environment RECEIVER_SOURCES_crm_HUB: is not the name of a setting (did you mean RECEIVER_SOURCES_CRM_HUB?)"},
		{"a whole section", crm, "RECEIVER_NATS=x", "environment RECEIVER_NATS: is not the name of a setting"},
		{"empty secret", crm, "RECEIVER_PRIVATE_TOKEN=", "environment RECEIVER_PRIVATE_TOKEN: private.token: is empty; allowed: a secret, or unset the variable"},
		{"empty keys", crm, "RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=", "environment RECEIVER_SOURCES_CRM_SIGNATURE_KEYS: sources.crm.signature_keys: is empty"},
		{"one empty key", crm, "RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=a,,b", "environment RECEIVER_SOURCES_CRM_SIGNATURE_KEYS: sources.crm.signature_keys[1].value: is empty"},
		{"one empty key over the file's", crm, "RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=,b", "environment RECEIVER_SOURCES_CRM_SIGNATURE_KEYS: sources.crm.signature_keys[0].value: is empty"},
		{"source without key", "log: {}\n", "RECEIVER_SOURCES_CRM_HUB=x", "environment RECEIVER_SOURCES_CRM_HUB: sources.crm.signature_keys: there is no signature key"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := config.Load(config.Options{Path: write(t, "config.yaml", row.text), Env: []string{row.env}})
			if err != nil {
				if !strings.HasPrefix(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("Load = %v, want %s", err, row.want)
				}
				return
			}
			var got string
			for name, s := range c.Sources {
				if s.CallbackBaseURL != "" {
					got += name + " callback " + s.CallbackBaseURL
				}
				if !strings.HasPrefix(s.BaseURL, "https://api.") {
					got += name + " base " + s.BaseURL
				}
			}
			if got != row.want {
				t.Errorf("%s sets %q, want %q", row.env, got, row.want)
			}
		})
	}
}
