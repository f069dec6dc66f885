package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// secretive is a configuration each of whose secrets is missing.
const secretive = `sources:
  crm: {base_url: "http://127.0.0.1:1", callback_base_url: "http://127.0.0.1:1", element_token: "env:CRM_ELEMENT", user_secret: "env:CRM_USER", organization_secret: "env:CRM_ORGANIZATION",
    signature_keys: [{value: "env:CRM_KEY"}], basic_auth: {username: "env:CRM_NAME", password: "file:CRM_PASSWORD"}}
  erp: {base_url: "http://127.0.0.1:1", element_token: "env:ERP_ELEMENT", user_secret: "env:ERP_USER", signature_keys: [{value: "file:ERP_KEY"}]}
token_secret: env:TOKENS
public: {tls: {cert_file: PUBLIC_CERT, key_file: PUBLIC_KEY}}
private: {token: "env:PRIVATE"}
audit: {key: "file:LOG_KEY", anchors: [{nats: {urls: ["tls://127.0.0.1:1"], credentials_file: ANCHOR}}]}
encryption: {identity: "env:IDENTITY"}
nats: {embedded: {folder: data, address: "127.0.0.1:0"}}
sinks: [{name: orders, url: "http://127.0.0.1:1", secret: "env:ORDERS"}]
`

// Each command asks for the secrets that it uses, and for no others; the server, and what checks
// the configuration for it, name all at once.
func TestCommandsNeedOnlyTheSecretsThatTheyUse(t *testing.T) {
	t.Parallel()
	const (
		platform = "CRM_ELEMENT CRM_ORGANIZATION CRM_USER"
		keys     = "CRM_KEY ERP_KEY"
		all      = "ANCHOR CRM_ELEMENT CRM_KEY CRM_NAME CRM_ORGANIZATION CRM_PASSWORD CRM_USER ERP_ELEMENT ERP_KEY ERP_USER IDENTITY LOG_KEY ORDERS PRIVATE PUBLIC_CERT PUBLIC_KEY TOKENS"
	)
	dir := t.TempDir()
	path, half := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "half.yaml")
	platformKnown := regexp.MustCompile(`env:CRM_(ELEMENT|USER|ORGANIZATION)`).ReplaceAllString(secretive, "known")
	for name, text := range map[string]string{path: secretive, half: platformKnown, filepath.Join(dir, "rows.csv"): "email\na@example.com\n",
		filepath.Join(dir, "cluster.yaml"): "nats: {mode: external, urls: [\"nats://127.0.0.1:1\"]}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop := storeWith77(t, filepath.Join(dir, "data"))
	told := map[string]bool{}
	check := func(path, needs, line string) {
		words := strings.Fields(line)
		for i, w := range words {
			words[i] = strings.ReplaceAll(w, "DIR", dir)
		}
		c, _, err := newRoot(&app{}).Find(words)
		if err != nil {
			t.Fatal(err)
		}
		told[c.CommandPath()] = true
		var out, talk bytes.Buffer
		code := run(t.Context(), append([]string{"--config", path}, words...), strings.NewReader("{}"), &out, &talk)
		got := strings.Join(missing(talk.String()), " ")
		if got != needs || (code == exitUsage) != (needs != "") {
			t.Errorf("receiver %s = exit %d and asks for %q, want %q\n%s", line, code, got, needs, &talk)
		}
	}
	for _, row := range [][2]string{
		{all, "serve"}, {all, "doctor"}, {all, "config check"}, {all, "config print"},
		{"CRM_ELEMENT CRM_KEY CRM_ORGANIZATION CRM_USER", "simulate --source crm --address 127.0.0.1:0"},
		{platform, "objects --source crm"}, {"ERP_ELEMENT ERP_USER", "objects --source erp"},
		{platform, "submit --source crm --object contact --file DIR/rows.csv"},
		{"", "jobs list"}, {"", "jobs show --source crm 77"}, {platform, "jobs find --source crm"}, {"", "jobs errors --source crm 77"},
		{platform, "jobs errors --source crm --platform 77"}, {platform, "jobs status --source crm 77"}, {platform, "jobs result --source crm --object contact 77"},
		{platform, "jobs cancel --source crm 77"}, {"", "jobs release --source crm 77 --operator a --reason b"},
		{"", "jobs poll --source crm 77"}, {"", "jobs replay --source crm --kind submitted 77"},
		{"", "events watch --since 24h --count 1"},
		{"", "consumers list"}, {"", "consumers add a --creds DIR/a.creds"}, {"", "consumers remove a"},
		{keys, "keys list"}, {keys, "keys retire key-1"}, {keys, "sources status --streams"},
		{"", "tokens add a --scope read"}, {"", "tokens list"}, {"", "tokens remove a"},
		{platform, "backfill --source crm --dry-run"},
		{"", "audit list"}, {"LOG_KEY", "audit show JOBS/1"}, {"LOG_KEY", "audit seal"}, {"LOG_KEY", "audit prove JOBS/1"}, {"LOG_KEY", "audit report JOBS/1"}, {"LOG_KEY", "audit consistency DIR/rows.csv DIR/rows.csv"}, {"LOG_KEY", "audit keys"}, {"LOG_KEY", "audit rename --from a --operator a --reason b"},
		{"LOG_KEY", "audit export DIR/archive --operator a --reason b"}, {"LOG_KEY", "audit verify"}, {"", "audit init --key-file DIR/made.key"},
		{"CRM_KEY", "audit reverify --since all --source crm"}, {keys, "audit reverify --since all"},
		{"CRM_KEY", "verify --source crm --signature sha256=a -"}, {"", "verify --key-file DIR/rows.csv --signature sha256=a -"}, {"", "sign --key-file DIR/rows.csv -"},
		{"", "healthcheck"}, {"", "sinks list"}, {"", "sinks replay orders --all"}, {"", "streams plan"}, {"", "streams apply --yes"}, {"", "streams copy JOBS --yes"},
	} {
		check(path, row[0], row[1])
	}
	check(half, "TOKENS", "submit --source crm --object contact --file DIR/rows.csv")
	check(half, "TOKENS", "jobs find --source crm")
	stop()
	// Without a running receiver, a command that writes seals what it wrote, and compares the store
	// with what was sealed.
	for _, row := range [][2]string{
		{"", "jobs list"}, {"", "audit list"}, {"", "streams plan"}, {"", "events watch --since 24h --count 1"}, {"LOG_KEY", "streams apply --yes"}, {"LOG_KEY", "streams move --to DIR/cluster.yaml --yes"}, {"LOG_KEY", "streams mend --operator a --reason b"},
		{"LOG_KEY", "jobs release --source crm 77 --operator a --reason b"},
	} {
		check(path, row[0], row[1])
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		without := []string{"receiver init", "receiver demo", "receiver conformance", "receiver licenses", "receiver version", "receiver docs man", "receiver audit check",
			"receiver contexts add", "receiver contexts list", "receiver contexts use", "receiver contexts remove"} // read no configuration
		if !c.HasSubCommands() && !told[c.CommandPath()] && !slices.Contains(without, c.CommandPath()) {
			t.Errorf("%s: add the secrets that it needs to this table", c.CommandPath())
		}
	}
	walk(newRoot(&app{}))
}

// missing returns what a command says is missing of secretive, by name.
func missing(talk string) []string {
	var names []string
	for _, m := range regexp.MustCompile(`environment variable (\w+) is not set|"(\w+)" cannot be read`).FindAllStringSubmatch(talk, -1) {
		names = append(names, m[1]+m[2])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// storeWith77 starts a server on a folder in which job 77 of the source crm is finished.
func storeWith77(t *testing.T, folder string) (stop func()) {
	t.Helper()
	server, err := natsserver.Start(natsserver.Embedded{Folder: folder, Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	store, err := publish.Open(t.Context(), server, conn.Options{})
	if err != nil {
		server.Stop()
		t.Fatal(err)
	}
	stop = func() {
		_ = store.Close(t.Context())
		server.Stop()
	}
	for _, kind := range []job.Kind{job.Finished, job.Errors} {
		e := job.Event{
			Kind: kind, Source: "crm", Time: time.Now(), Evidence: job.ByPoll, Data: []byte(`{"rows":[]}`),
			Job: job.View{ID: "77", Status: "COMPLETED", Object: "contact", Result: job.Succeeded},
		}
		if _, err := store.Publish(t.Context(), e); err != nil {
			stop()
			t.Fatal(err)
		}
	}
	return stop
}
