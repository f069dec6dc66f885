package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/config"
)

// write puts a file into a new folder and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, text string, env ...string) *config.Config {
	t.Helper()
	c, err := config.Load(config.Options{Path: write(t, "config.yaml", text), Env: env})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

const crm = "sources: {crm: {signature_keys: [{value: s3cret}]}}\n"

func TestLoadWithoutFileIsDefault(t *testing.T) {
	c, err := config.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if c.File != "" || c.Dir != here {
		t.Errorf("File, Dir = %q, %q, want \"\", %q", c.File, c.Dir, here)
	}
	if want := "no source is configured"; len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) {
		t.Errorf("Warnings = %q, want one with %q", c.Warnings, want)
	}
	c.Dir, c.Warnings = "", nil
	if want := config.Default(); !reflect.DeepEqual(*c, want) {
		t.Errorf("Load(no file) = %+v, want %+v", *c, want)
	}
}

func TestDefault(t *testing.T) {
	c := config.Default()
	got := []any{
		c.Public.Address, len(c.Public.TrustedProxies), c.Private.Address, c.Private.Token.Empty(),
		c.Limits.Body, c.Limits.Header, c.Limits.ReadHeaderTimeout, c.Limits.ReadTimeout, c.Limits.WriteTimeout,
		c.Limits.IdleTimeout, c.Limits.PublishTimeout, c.Limits.ShutdownTimeout, c.Limits.AttemptBody, c.Limits.AttemptQueue, c.Limits.AttemptRate,
		c.NATS.Mode, len(c.NATS.URLs), c.NATS.Embedded, c.NATS.Sync, c.NATS.Replicas, c.NATS.JobsMaxAge, c.NATS.AttemptsMaxBytes,
		c.Audit.Name, c.Audit.Origin, c.Audit.Key.Empty(), len(c.Audit.VerifierKeys), c.Audit.CheckpointFile, c.Audit.Interval, len(c.Audit.Anchors), c.Audit.AnchorInterval,
		c.Log,
	}
	want := []any{
		"127.0.0.1:8080", 0, "127.0.0.1:8081", true,
		config.ByteSize(8 << 20), config.ByteSize(16 << 10), 5 * time.Second, 30 * time.Second, 30 * time.Second,
		75 * time.Second, 5 * time.Second, 20 * time.Second, config.ByteSize(64 << 10), 1024, 2000,
		"embedded", 0, config.Embedded{Folder: "receiver-data", Address: "127.0.0.1:4222", TLS: config.EmbeddedTLS{MinVersion: "1.3"}}, "always", 1, 90 * 24 * time.Hour, config.ByteSize(1 << 30),
		"receiver", "receiver", true, 0, config.Path("receiver-checkpoints"), time.Second, 0, time.Minute,
		config.Log{Level: "info", Format: "auto"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Default() = %v, want %v", got, want)
	}
}

func TestSourceDefaults(t *testing.T) {
	got := load(t, crm).Sources["crm"]
	want := config.Source{
		BaseURL:       "https://api.openconnectors.us2.ext.hana.ondemand.com/elements/api-v2",
		SignatureKeys: []config.SignatureKey{{Name: "key-1", Value: config.NewSecret("s3cret")}},
		CallbackToken: config.TokenOptional, UnexpectedJobs: config.UnexpectedAccept, Confirm: "never",
		Watch: config.WatchPlan{
			Expected: 10 * time.Minute, Retry: time.Minute, Cap: 15 * time.Minute,
			Deadline: 6 * time.Hour, Slow: time.Hour, Retention: 72 * time.Hour, Objects: []config.WatchObject{},
		},
		Timeouts: config.Timeouts{Request: 30 * time.Second, Upload: time.Hour},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("source = %+v, want %+v", got, want)
	}
}

func TestEveryValueIsRead(t *testing.T) {
	c := load(t, `
sources:
  crm-eu:
    base_url: https://api.example.com/elements/api-v2/
    hub: crm
    element_token: e1
    user_secret: u1
    organization_secret: 0123
    signature_keys:
      - {name: new, value: "*k1 ", not_before: 2026-01-01T00:00:00Z, not_after: 2027-01-01T00:00:00+01:00}
      - value: k2
    callback_base_url: http://[::1]:9000/in/
    timeouts: {request: 1m30s}
public: {prefix: /v1/in/, trusted_proxies: [10.1.2.3, 10.1.2.3/8, "::1"]}
private: {address: ":9081", token: t0ken}
limits: {body: 63MiB, header: 2048}
`)
	s := c.Sources["crm-eu"]
	networks, _ := c.Public.Trusted()
	got := []any{
		s.BaseURL, s.Hub, s.ElementToken.Reveal(), s.UserSecret.Reveal(), s.OrganizationSecret.Reveal(),
		s.CallbackBaseURL, s.Timeouts, c.Public.Prefix, networks, c.Private.Token.Reveal(), c.Limits.Body, c.Limits.Header,
	}
	want := []any{
		"https://api.example.com/elements/api-v2", "crm", "e1", "u1", "0123",
		"http://[::1]:9000/in", config.Timeouts{Request: 90 * time.Second, Upload: time.Hour}, "/v1/in",
		[]netip.Prefix{netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		"t0ken", config.ByteSize(63 << 20), config.ByteSize(2048),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	k := s.SignatureKeys
	if len(k) != 2 || k[0].Name != "new" || k[0].Value.Reveal() != "*k1 " || k[1].Name != "key-2" || k[1].Value.Reveal() != "k2" {
		t.Errorf("keys = %v, want new and key-2 with their bytes unchanged", k)
	}
	if want := time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC); !k[0].NotAfter.Equal(want) {
		t.Errorf("not_after = %v, want %v", k[0].NotAfter, want)
	}
}

func TestAuditIsRead(t *testing.T) {
	c := load(t, crm+logKey+`  name: eu-1
  verifier_keys: [`+witnessKey+`]
  checkpoint_file: /var/lib/checkpoints
  interval: 5s
  anchors:
    - directory: write-once
    - witness: https://w.example.com/
      key: `+witnessKey+`
    - nats: {urls: [tls://auditors.example.com:4222]}
    - nats: {urls: ["nats://127.0.0.1:4333"], stream: KEPT, subject: kept.here}
  anchor_interval: 1h
  export: {folder: archive, interval: 12h}
`)
	got := c.Audit
	if !strings.HasPrefix(got.Key.Reveal(), "PRIVATE+KEY+receiver/test+") {
		t.Errorf("key = %v, want the log key", got.Key)
	}
	got.Key = config.Secret{}
	want := config.Audit{
		Name: "eu-1", Origin: "receiver", VerifierKeys: []string{witnessKey}, CheckpointFile: "/var/lib/checkpoints", Interval: 5 * time.Second,
		Anchors: []config.Anchor{
			{Directory: "write-once"}, {Witness: "https://w.example.com", Key: witnessKey},
			{NATS: config.AnchorNATS{URLs: []string{"tls://auditors.example.com:4222"}, Stream: "CHECKPOINTS", Subject: "checkpoints"}},
			{NATS: config.AnchorNATS{URLs: []string{"nats://127.0.0.1:4333"}, Stream: "KEPT", Subject: "kept.here"}},
		},
		AnchorInterval: time.Hour,
		Export:         config.Export{Folder: "archive", Interval: 12 * time.Hour},
	}
	if !reflect.DeepEqual(got, want) || len(c.Warnings) > 0 {
		t.Errorf("audit = %+v, warnings %q, want %+v and none", got, c.Warnings, want)
	}
	env := load(t, crm, "RECEIVER_AUDIT_ANCHORS=/a,b", "RECEIVER_AUDIT_VERIFIER_KEYS="+witnessKey)
	if want := []config.Anchor{{Directory: "/a"}, {Directory: "b"}}; !reflect.DeepEqual(env.Audit.Anchors, want) || len(env.Audit.VerifierKeys) != 1 {
		t.Errorf("from the environment: %+v, want the directories %+v and one verifier key", env.Audit, want)
	}
}

func TestEmptyTextsOfYAML(t *testing.T) {
	for _, text := range []string{"", "\n# nothing\n", "---\n", "sources:\nnats:\nlog: {level: }\n", "\ufeffsources: {}\n"} {
		c := load(t, text)
		c.File, c.Dir, c.Files, c.Warnings = "", "", nil, nil
		if want := config.Default(); !reflect.DeepEqual(*c, want) {
			t.Errorf("Load(%q) = %+v, want the defaults", text, *c)
		}
	}
}

func TestExternalHasNoSyncOfItsOwn(t *testing.T) {
	for _, text := range []string{"", `, sync: ""`} {
		c := load(t, crm+"nats: {mode: external, urls: [nats://a:4222, tls://b], replicas: 3"+text+"}\n")
		if c.NATS.Sync != "" || c.NATS.Replicas != 3 || len(c.NATS.URLs) != 2 {
			t.Errorf("NATS = %+v, want no sync, 3 replicas, 2 urls", c.NATS)
		}
	}
}

func TestAnyFreePortMayBeAskedForTwice(t *testing.T) {
	load(t, crm+`public: {address: ":0"}
private: {address: "127.0.0.1:0"}
nats: {embedded: {address: "127.0.0.1:0"}}
`)
}

func TestAbs(t *testing.T) {
	c := load(t, crm)
	absolute := filepath.Join(c.Dir, "x")
	for p, want := range map[config.Path]string{
		"":                    "",
		"receiver-data":       filepath.Join(c.Dir, "receiver-data"),
		config.Path(absolute): absolute,
	} {
		if got := c.Abs(p); got != want {
			t.Errorf("Abs(%q) = %q, want %q", p, got, want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for _, row := range []struct {
		text, shown string
		size        config.ByteSize
	}{
		{"0", "0", 0}, {"1000", "1000", 1000}, {"1024", "1KiB", 1024}, {"8MiB", "8MiB", 8 << 20},
		{"1536KiB", "1536KiB", 1536 << 10}, {"1GiB", "1GiB", 1 << 30}, {"8388607TiB", "8388607TiB", 8388607 << 40},
	} {
		got, err := config.ParseByteSize(row.text)
		if err != nil || got != row.size || got.String() != row.shown {
			t.Errorf("ParseByteSize(%q) = %v (%d), %v, want %s", row.text, got, got, err, row.shown)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "+1", "1.5MiB", "8 MiB", "8MB", "8mib", "0x10", "1_0", "8388608TiB", "9223372036854775808"} {
		if got, err := config.ParseByteSize(text); err == nil {
			t.Errorf("ParseByteSize(%q) = %v, want an error", text, got)
		}
	}
}

// The files that could not be read are the ones to fix.
func TestFilesOfFaults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"a secret that is missing", "sources: {crm: {signature_keys: [{value: \"file:a.key\"}]}}\n", []string{"config.yaml", "a.key"}},
		{"certificates that are missing", "nats: {mode: external, urls: [\"nats://h:1\"], sync: \"\", tls: {ca_file: ca.pem}}\n", []string{"config.yaml", "ca.pem"}},
		{"authorities that are missing", "sources: {crm: {signature_keys: [{value: k}], tls: {ca_file: ca.pem}}}\n", []string{"config.yaml", "ca.pem"}},
		{"no YAML", "log: [", []string{"config.yaml"}},
		{"no file at all", "", []string{"config.yaml"}},
	} {
		if row.text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(config.Options{Path: path})
		var want []string
		for _, name := range row.want {
			want = append(want, filepath.Join(dir, name))
		}
		if got := config.FilesOf(err); !slices.Equal(got, want) {
			t.Errorf("%s: FilesOf(%v) = %q, want %q", row.name, err, got, want)
		}
	}
	if got := config.FilesOf(os.ErrNotExist); got != nil {
		t.Errorf("FilesOf(another error) = %q, want none", got)
	}
}

func TestLoadNamesTheFilesItRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	text := "sources: {crm: {signature_keys: [{value: \"file:a.key\"}]}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Files) != 2 || c.Files[0] != path || c.Files[1] != filepath.Join(dir, "a.key") {
		t.Errorf("Files = %q, want config.yaml and a.key", c.Files)
	}
}
