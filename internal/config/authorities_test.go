package config_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/config"
)

// certificate is one that exists, in PEM and in DER.
func certificate(t *testing.T) (text string, der []byte) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	der = s.Certificate().Raw
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), der
}

// The authorities of a source are read with the configuration, wherever their file is named,
// and the file is watched.
func TestAuthoritiesOfASourceAreRead(t *testing.T) {
	text, _ := certificate(t)
	for name, given := range map[string]struct {
		setting string
		env     []string
	}{
		"in the file":        {setting: "    tls: {ca_file: ca.pem}\n"},
		"in the environment": {env: []string{"RECEIVER_SOURCES_CRM_TLS_CA_FILE=ca.pem"}},
	} {
		path := write(t, "config.yaml", "sources:\n  crm:\n"+key+given.setting)
		file := filepath.Join(filepath.Dir(path), "ca.pem")
		if err := os.WriteFile(file, []byte("# ours\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{Path: path, Env: given.env})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := string(c.Sources["crm"].TLS.Authorities); got != "# ours\n"+text {
			t.Errorf("%s: the authorities are %q, want what is in the file", name, got)
		}
		if !slices.Contains(c.Files, file) {
			t.Errorf("%s: the files are %q, want %s among them", name, c.Files, file)
		}
		if got := effective(t, c); !strings.Contains(got, "    tls:\n      ca_file: ca.pem\n") {
			t.Errorf("%s: the effective configuration does not name the file:\n%s", name, got)
		}
	}
}

func TestAFileWithoutAuthoritiesIsAFault(t *testing.T) {
	text, der := certificate(t)
	const at = "config.yaml:4: sources.crm.tls.ca_file: "
	for name, row := range map[string]struct{ content, want string }{
		"empty":              {"", at + "contains no certificate; allowed: a PEM file with -----BEGIN CERTIFICATE-----"},
		"text":               {"garbage\n", at + "contains no certificate"},
		"a key":              {strings.ReplaceAll(text, "CERTIFICATE", "PRIVATE KEY"), at + "contains no certificate"},
		"cut off":            {text[:len(text)/2], at + "contains no certificate"},
		"damaged":            {strings.Replace(text, "MII", "AAA", 1), at + "contains no certificate"},
		"DER":                {string(der), at + `"ca.pem" contains NUL bytes; allowed: the unchanged file, in ASCII or UTF-8; certificates in PEM, not in DER`},
		"a byte order mark":  {"\xff\xfe" + text, at + `"ca.pem" is in UTF-16`},
		"more than any file": {strings.Repeat(text, 2<<20/len(text)), at + `"ca.pem" cannot be read: it is larger than `},
	} {
		got := complaints(t, "sources:\n  crm:\n"+key+"    tls: {ca_file: ca.pem}\n", map[string]string{"ca.pem": row.content})
		if len(got) != 1 || !strings.HasPrefix(got[0], row.want) {
			t.Errorf("%s: Load complains\n%s\nwant\n%s", name, strings.Join(got, "\n"), row.want)
		}
	}
	missing := complaints(t, "sources:\n  crm:\n"+key+"    tls: {ca_file: ca.pem}\n", nil)
	if len(missing) != 1 || !strings.HasPrefix(missing[0], at+`"ca.pem" cannot be read: no such file`) {
		t.Errorf("a file that is not there: Load complains %q", missing)
	}
	unknown := complaints(t, "sources:\n  crm:\n"+key+"    tls: {insecure: true}\n", nil)
	if len(unknown) != 1 || unknown[0] != "config.yaml:4: sources.crm.tls.insecure: unknown key; allowed: ca_file" {
		t.Errorf("a key to believe anybody: Load complains %q", unknown)
	}
}

// Authorities for client certificates are a fault if the listener has no certificate of its own.
func TestAuthoritiesOfClientsNeedACertificateToShow(t *testing.T) {
	text, _ := certificate(t)
	for setting, want := range map[string]string{
		"private: {tls: {client_ca_file: ca.pem}}\n":   "config.yaml:1: private.tls.client_ca_file: requires client certificates, but the listener has no certificate",
		"nats: {embedded: {tls: {ca_file: ca.pem}}}\n": "config.yaml:1: nats.embedded.tls.ca_file: is set, but the listener has no certificate",
	} {
		got := complaints(t, setting, map[string]string{"ca.pem": text})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("Load(%q) complains\n%s\nwant\n%s", setting, strings.Join(got, "\n"), want)
		}
	}
}
