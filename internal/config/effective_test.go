package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"receiver/internal/config"

	"go.yaml.in/yaml/v3"
)

const manual = "../../config.yaml"

func effective(t testing.TB, c *config.Config) string {
	t.Helper()
	b, err := c.Effective()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEffective(t *testing.T) {
	c := load(t, `
sources:
  web: {signature_keys: [{value: hunter2, not_after: "2027-01-01T00:00:00+01:00"}], timeouts: {request: 1m30s}}
  crm: {signature_keys: [{value: hunter2}], hub: "null"}
public: {trusted_proxies: [10.0.0.1, 10.0.0.1/8]}
limits: {idle_timeout: 10m, header: 20000}
`)
	got := effective(t, c)
	const want = `sources:
  crm:
    base_url: https://api.openconnectors.us2.ext.hana.ondemand.com/elements/api-v2
    hub: "null"
    tls:
      ca_file: ""
    element_token: ""
    user_secret: ""
    organization_secret: ""
    signature_keys:
      - name: key-1
        value: sha256:f52fbd32
        not_before: ""
        not_after: ""
    callback_base_url: ""
    callback_token: optional
    basic_auth:
      username: ""
      password: ""
    unexpected_jobs: accept
    confirm: never
    watch:
      expected: 10m
      retry: 1m
      cap: 15m
      deadline: 6h
      slow: 1h
      retention: 72h
      objects: []
    timeouts:
      request: 30s
      upload: 1h
  web:
    base_url: https://api.openconnectors.us2.ext.hana.ondemand.com/elements/api-v2
    hub: ""
    tls:
      ca_file: ""
    element_token: ""
    user_secret: ""
    organization_secret: ""
    signature_keys:
      - name: key-1
        value: sha256:f52fbd32
        not_before: ""
        not_after: 2027-01-01T00:00:00+01:00
    callback_base_url: ""
    callback_token: optional
    basic_auth:
      username: ""
      password: ""
    unexpected_jobs: accept
    confirm: never
    watch:
      expected: 10m
      retry: 1m
      cap: 15m
      deadline: 6h
      slow: 1h
      retention: 72h
      objects: []
    timeouts:
      request: 1m30s
      upload: 1h
token_secret: ""
public:
  address: 127.0.0.1:8080
  socket_mode: "0660"
  tls:
    cert_file: ""
    key_file: ""
    min_version: "1.3"
    acme:
      names: []
      email: ""
      directory: https://acme-v02.api.letsencrypt.org/directory
      folder: receiver-acme
      ca_file: ""
      terms_agreed: false
  prefix: ""
  trusted_proxies:
    - 10.0.0.1
    - 10.0.0.0/8
private:
  address: 127.0.0.1:8081
  socket_mode: "0600"
  tls:
    cert_file: ""
    key_file: ""
    min_version: "1.3"
    client_ca_file: ""
    client_names: []
  token: ""
  tokens_file: receiver-tokens.json
  pprof: false
  rate: 50
limits:
  body: 8MiB
  bodies: 256MiB
  connections: 0
  memory: 0
  header: 20000
  read_header_timeout: 5s
  read_timeout: 30s
  write_timeout: 30s
  idle_timeout: 10m
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("Effective() =\n%s\nwant it to begin with\n%s", got, want)
	}
}

func TestEffectiveLoadsAgainWhereItHoldsNoSecret(t *testing.T) {
	want := load(t, "nats: {mode: external, urls: [nats://a]}\npublic: {trusted_proxies: [\"::1\"]}\nlimits: {read_timeout: 100ms, read_header_timeout: 1ms}\n")
	got := load(t, effective(t, want))
	got.File, got.Dir, got.Files = want.File, want.Dir, want.Files
	for i := range got.Warnings {
		got.Warnings[i], want.Warnings[i] = "", ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("loaded again = %+v\nwant %+v", got, want)
	}
}

func TestEffectiveWithSecretsIsRefusedAsConfiguration(t *testing.T) {
	text := effective(t, load(t, crm))
	_, err := config.Load(config.Options{Path: write(t, "config.yaml", text)})
	if err == nil || !strings.Contains(err.Error(), "this is the fingerprint of a secret") {
		t.Errorf("Load(Effective()) = %v, want the fingerprint refused", err)
	}
}

func TestManualIsTheDefault(t *testing.T) {
	c, err := config.Load(config.Options{Path: manual})
	if err != nil {
		t.Fatal(err)
	}
	if dir, _ := filepath.Abs("../.."); c.Dir != dir {
		t.Errorf("Dir = %q, want %q", c.Dir, dir)
	}
	c.File, c.Dir, c.Files, c.Warnings = "", "", nil, nil
	if want := config.Default(); !reflect.DeepEqual(*c, want) {
		t.Errorf("config.yaml = %+v\nwant the defaults %+v", *c, want)
	}
}

// TestManualNamesEveryKey takes the comment signs off the example source and
// finds the keys of the file to be those of the schema, in its order.
func TestManualNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitAfterN(string(text), "\nsources: {}\n", 2)
	if len(parts) != 2 {
		t.Fatal("config.yaml has no line sources: {}")
	}
	example, rest, _ := strings.Cut(parts[1], "\n\n")
	example = regexp.MustCompile(`(?m)^#`).ReplaceAllString(example, "")
	whole := strings.Replace(parts[0], "sources: {}", "sources:", 1) + example + "\n\n" + rest

	path := write(t, "config.yaml", whole)
	writeBeside(t, path, "crm-signature.key", "s3cret\n")
	c, err := config.Load(config.Options{Path: path, Env: []string{"CRM_ELEMENT_TOKEN=e", "CRM_USER_SECRET=u"}})
	if err != nil {
		t.Fatalf("config.yaml with its example: %v", err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("config.yaml with its example warns: %q", c.Warnings)
	}
	got, want := keysOf(t, whole), keysOf(t, effective(t, c))
	if !slices.Equal(got, want) {
		t.Errorf("config.yaml has the keys\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestManualExampleHasDefaults holds the example's optional settings to what
// they would be if left out.
func TestManualExampleHasDefaults(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	s := load(t, crm).Sources["crm"]
	for _, line := range []string{
		"base_url: " + s.BaseURL, `hub: "` + s.Hub + `"`, "name: " + s.SignatureKeys[0].Name, "request: 30s", "upload: 1h",
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("config.yaml has no line %q", line)
		}
	}
}

// keysOf lists the paths of all keys in the order of the text.
func keysOf(t *testing.T, text string) []string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		for i, c := range n.Content {
			switch {
			case n.Kind != yaml.MappingNode:
				walk(path, c)
			case i%2 == 0:
				keys = append(keys, path+"."+c.Value)
			default:
				walk(path+"."+n.Content[i-1].Value, c)
			}
		}
	}
	walk("", &doc)
	return keys
}

// An entry of a list has the defaults that config.yaml names, as any other section.
func TestEntriesOfListsHaveDefaults(t *testing.T) {
	c := load(t, "sources: {crm: {signature_keys: [{value: hunter2}], watch: {objects: [{object: contact}, {object: lead, expected: }, {object: deal, expected: 2h}]}}}\n")
	var got []string
	for _, o := range c.Sources["crm"].Watch.Objects {
		got = append(got, o.Object+" "+o.Expected.String())
	}
	if want := []string{"contact 10m0s", "lead 10m0s", "deal 2h0m0s"}; !slices.Equal(got, want) {
		t.Errorf("watch.objects = %q, want %q", got, want)
	}
}
