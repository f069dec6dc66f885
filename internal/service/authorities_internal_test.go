package service

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/cluster"
	"receiver/internal/doctor"
	"receiver/internal/service/platform"
)

// privatePlatform is a platform whose certificate the system does not believe. It returns the
// certificate that leads to it, and another authority's.
func privatePlatform(t *testing.T) (url string, right, other []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `["contact"]`) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	made, err := cluster.Make(cluster.Options{Folder: t.TempDir(), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	if other, err = os.ReadFile(made.CAFile); err != nil {
		t.Fatal(err)
	}
	return s.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), other
}

// Clients and the doctor believe the authorities of a source's ca_file, and without them say
// where to name them.
func TestClientsBelieveTheAuthoritiesOfASource(t *testing.T) {
	url, right, other := privatePlatform(t)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	for _, row := range []struct {
		name, setting string
		content       []byte
		want          string // in the error; empty for none
	}{
		{"no file", "", nil, "sources.demo.tls.ca_file, or in the environment variable SSL_CERT_FILE"},
		{"another authority", ", tls: {ca_file: ca.pem}", other, "replaces the system's authorities"},
		{"the right one", ", tls: {ca_file: ca.pem}", right, ""},
		{"both", ", tls: {ca_file: ca.pem}", append(bytes.Clone(other), right...), ""},
	} {
		text := fmt.Sprintf("sources:\n  demo: {base_url: %q, element_token: e, user_secret: u, signature_keys: [{value: the-key-of-the-test}]%s}\n", url, row.setting)
		for path, content := range map[string][]byte{filepath.Join(dir, "config.yaml"): []byte(text), ca: row.content} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cfg, err := ReadConfig(filepath.Join(dir, "config.yaml"), os.Environ(), nil)
		if err != nil {
			t.Fatal(err)
		}
		client, err := platform.Client("demo", cfg.Sources["demo"])
		if err != nil {
			t.Fatal(err)
		}
		objects, err := client.Objects(t.Context())
		if row.want == "" && (err != nil || len(objects) != 1) || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: the client gives %v, %v, want an error with %q in it", row.name, objects, err, row.want)
		}
		x := examiner{cfg: cfg, log: zerolog.Nop()}
		worst := doctor.OK
		for _, f := range x.platform(t.Context(), "demo") {
			worst = max(worst, f.Severity)
			if f.Severity == doctor.Error && (f.Setting != "sources.demo.tls.ca_file" || !strings.Contains(f.What, row.want)) {
				t.Errorf("%s: doctor finds %+v", row.name, f)
			}
		}
		if (worst == doctor.Error) != (row.want != "") {
			t.Errorf("%s: doctor's worst is %v", row.name, worst)
		}
		for _, f := range doctor.Files(x.files()) {
			if strings.Contains(f.What, "ca.pem") {
				t.Errorf("%s: doctor says of a file that everybody may read: %+v", row.name, f)
			}
		}
	}
}

// A reload reads a source's ca_file again, though its name is the same, and a file without a
// certificate leaves the earlier ones in force.
func TestReloadReadsAuthoritiesAgain(t *testing.T) {
	url, right, other := privatePlatform(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(ca, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(other)
	rig := newReloadRig(t, "    base_url: ", fmt.Sprintf("    tls: {ca_file: %q}\n    base_url: %q # ", ca, url))
	text, err := os.ReadFile(rig.file)
	if err != nil {
		t.Fatal(err)
	}
	rig.text = string(text)
	believed := func() bool {
		client, err := rig.in.platforms.Client(rigSource)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Objects(t.Context())
		return err == nil
	}
	if believed() {
		t.Fatal("a platform of another authority is believed at the start")
	}
	for _, step := range []struct {
		name                     string
		content                  []byte
		done, believed, recorded bool
	}{
		{"nothing new", other, true, false, false},
		{"the right authority", right, true, true, true},
		{"no certificate", []byte("garbage"), true, true, false},
		{"the right authority again", right, true, true, false},
		{"another one", other, true, false, true},
	} {
		write(step.content)
		before, last := rig.actions(), rig.lastAction()
		if done := rig.reload(t.Context()); done != step.done {
			t.Errorf("%s: done %v, want %v:\n%s", step.name, done, step.done, &rig.log)
		}
		if got := believed(); got != step.believed {
			t.Errorf("%s: believed %v, want %v", step.name, got, step.believed)
		}
		if recorded := rig.actions() > before; recorded != step.recorded || recorded && rig.lastAction() == last {
			t.Errorf("%s: recorded %v, want %v", step.name, recorded, step.recorded)
		}
	}
}
