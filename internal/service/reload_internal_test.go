package service

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit/logkey"
	"receiver/internal/callback"
	"receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/platform"
)

// reloadRig is a receiver whose configuration a test edits, and the log of its reloads.
type reloadRig struct {
	t    *testing.T
	in   *Instance
	r    *reloader
	file string
	text string // of the configuration at the start
	log  bytes.Buffer
}

const rigSource = "demo"

// rigConfig is the configuration of a reloadRig at the start.
const rigConfig = `sources:
  demo:
    base_url: http://127.0.0.1:1/elements/api-v2
    hub: marketing
    element_token: the-element-of-the-tests
    user_secret: the-user-of-the-tests
    signature_keys:
      - name: demo
        value: file:signature.key
token_secret: the-token-secret-of-the-tests
public:
  address: 127.0.0.1:0
private:
  address: 127.0.0.1:0
nats:
  embedded:
    folder: receiver-data
    address: 127.0.0.1:0
audit:
  name: demo
  key: file:log.key
`

// newReloadRig starts a receiver on rigConfig, with parts of it replaced.
func newReloadRig(t *testing.T, parts ...string) *reloadRig {
	t.Helper()
	folder := t.TempDir()
	key, err := logkey.Generate(rigSource)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"signature.key": rand.Text(), "log.key": key.Secret()} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rig := &reloadRig{t: t, file: filepath.Join(folder, "config.yaml"), text: rigConfig}
	rig.write(parts...)
	cfg, err := ReadConfig(rig.file, os.Environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rig.in, err = Start(t.Context(), cfg, zerolog.New(io.Discard)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.in.Stop(); err != nil {
			t.Error(err)
		}
	})
	rig.in.log = zerolog.New(&rig.log)
	if rig.r, err = newReloader(rig.in); err != nil {
		t.Fatal(err)
	}
	return rig
}

// write replaces parts of the configuration as it was at the start.
func (rig *reloadRig) write(parts ...string) {
	rig.t.Helper()
	if err := os.WriteFile(rig.file, []byte(strings.NewReplacer(parts...).Replace(rig.text)), 0o600); err != nil {
		rig.t.Fatal(err)
	}
}

// reload reads the configuration again, and says whether it is in force.
func (rig *reloadRig) reload(ctx context.Context) bool {
	rig.log.Reset()
	_, done := rig.r.reload(ctx, false)
	return done
}

// believes says whether a callback that is signed with a key is accepted.
func (rig *reloadRig) believes(key string) bool { return rig.believesAt("", key) }

// believesAt does so for the address with that token.
func (rig *reloadRig) believesAt(token, key string) bool {
	rig.t.Helper()
	body := []byte(`{"id":"1","status":"COMPLETED"}`)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	_, err := rig.in.receiver.Accept(rig.t.Context(), callback.Request{
		Source: rigSource, Token: token, Signatures: []string{"sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))}, Body: body, Received: time.Now(),
	})
	if err != nil && !errors.Is(err, callback.ErrUnauthorized) {
		rig.t.Fatal(err)
	}
	return err == nil
}

// metrics reports whether the metrics have a part.
func (rig *reloadRig) metrics(part string) bool {
	w := httptest.NewRecorder()
	rig.in.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return strings.Contains(w.Body.String(), part)
}

// actions is how many actions are recorded.
func (rig *reloadRig) actions() uint64 {
	rig.t.Helper()
	n, err := rig.in.bus.LastSequence(rig.t.Context(), conn.ActionsStream)
	if err != nil {
		rig.t.Fatal(err)
	}
	return n
}

// leave takes the store away until join is called.
func (rig *reloadRig) leave() (join func()) {
	rig.t.Helper()
	gone, err := publish.Open(rig.t.Context(), rig.in.server, storeOptions(rig.in.cfg, rig.in.log))
	if err != nil {
		rig.t.Fatal(err)
	}
	if err := gone.Close(rig.t.Context()); err != nil {
		rig.t.Fatal(err)
	}
	there := rig.in.bus
	rig.in.bus = gone
	return func() { rig.in.bus = there }
}

// lastAction is the last action that is recorded.
func (rig *reloadRig) lastAction() (text string) {
	rig.t.Helper()
	n := rig.actions()
	if err := rig.in.bus.Range(rig.t.Context(), conn.ActionsStream, n, n, func(m publish.Message) error {
		text = string(m.Data)
		return nil
	}); err != nil {
		rig.t.Fatal(err)
	}
	return text
}

// The parts of an edit that show in each of what is swapped.
const (
	someSource = "    hub: marketing\n"
	newSource  = someSource + "    unexpected_jobs: quarantine\n    watch: {expected: 7m}\n"
	someKey    = "value: file:signature.key"
	newKey     = "value: another-key-of-the-tests"
)

// A change that cannot be recorded is not in force, in no part; and when the edit is reverted,
// nothing is left of it.
func TestReloadIsWholeOrNothing(t *testing.T) {
	rig := newReloadRig(t)
	inForce := func(want bool) {
		t.Helper()
		for what, got := range map[string]bool{
			"the new key":   rig.believes("another-key-of-the-tests"),
			"its metrics":   rig.metrics(job.Fingerprint([]byte("another-key-of-the-tests"))),
			"quarantine":    rig.in.platforms.Quarantine(rigSource),
			"the new plan":  rig.in.platforms.Schedule(rigSource, "contact").Expected == 7*time.Minute,
			"what explains": rig.in.explainer.cfg.Load() != rig.in.cfg,
		} {
			if got != want {
				t.Errorf("%s in force: %v, want %v", what, got, want)
			}
		}
	}
	rig.write(someSource, newSource, someKey, newKey)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if rig.reload(stopped) {
		t.Error("a reload of a receiver that stops says that it is done")
	}
	inForce(false)
	join := rig.leave()
	if rig.reload(t.Context()) {
		t.Error("a reload that could not be recorded says that it is done")
	}
	join()
	inForce(false)
	rig.write()
	if !rig.reload(t.Context()) {
		t.Error("the configuration of the start says that it is not in force")
	}
	inForce(false)
	recorded := rig.actions()
	rig.write(someSource, newSource, someKey, newKey)
	if !rig.reload(t.Context()) || rig.actions() == recorded {
		t.Errorf("a good reload is not done and recorded:\n%s", &rig.log)
	}
	inForce(true)
}

// A lasting fault is logged once, and so is its end.
func TestReloadLogsAFaultOnce(t *testing.T) {
	rig := newReloadRig(t)
	for _, step := range []struct {
		name  string
		parts []string
		want  string // in the log; empty for nothing at all
	}{
		{"a fault", []string{someKey, "value: file:none.key"}, "the configuration has errors"},
		{"the same fault", []string{someKey, "value: file:none.key"}, ""},
		{"another fault", []string{someKey, "value: file:other.key"}, "other.key"},
		{"none any more", nil, "the configuration file matches the configuration in force again"},
		{"nothing new", nil, ""},
	} {
		rig.write(step.parts...)
		rig.reload(t.Context())
		if got := rig.log.String(); !strings.Contains(got, step.want) || step.want == "" && got != "" {
			t.Errorf("%s: the log says %q, want %q", step.name, got, step.want)
		}
	}
	rig.write(someKey, "value: file:none.key")
	files, _ := rig.r.reload(t.Context(), false)
	if want := filepath.Join(filepath.Dir(rig.file), "none.key"); !strings.Contains(strings.Join(files, " "), want) {
		t.Errorf("the files to watch are %q, want %s among them", files, want)
	}
	rig.log.Reset()
	rig.r.reload(t.Context(), true)
	if got := rig.log.String(); !strings.Contains(got, "none.key") {
		t.Errorf("asked, the log says %q, want the fault again", got)
	}
}

// Tokens are those of the start, until the next one: the log says that a change takes a
// restart, and jobs are under way at addresses of the old ones.
func TestReloadLeavesTokensAlone(t *testing.T) {
	rig := newReloadRig(t)
	key := rig.in.cfg.Sources[rigSource].SignatureKeys[0].Value.Reveal()
	old, err := platform.Tokens(rig.in.cfg)
	if err != nil {
		t.Fatal(err)
	}
	another, err := callback.NewTokens([]byte("another-token-secret"))
	if err != nil {
		t.Fatal(err)
	}
	grant := callback.Grant{Source: rigSource, Object: "contact", Submission: "1"}
	secret := "token_secret: " + rig.in.cfg.TokenSecret.Reveal()
	for _, step := range []struct {
		name  string
		parts []string
	}{
		{"another secret", []string{secret, "token_secret: another-token-secret"}},
		{"no secret", []string{secret, `token_secret: ""`}},
		{"another secret, and tokens required", []string{secret, "token_secret: another-token-secret", someSource, someSource + "    callback_token: required\n"}},
	} {
		rig.write(step.parts...)
		if !rig.reload(t.Context()) || !strings.Contains(rig.log.String(), "restart the receiver") {
			t.Errorf("%s: the log does not say that it takes a restart:\n%s", step.name, &rig.log)
		}
		if !rig.believesAt(old.Make(grant), key) {
			t.Errorf("%s: a callback at an address of the start is refused", step.name)
		}
		if rig.believesAt(another.Make(grant), key) {
			t.Errorf("%s: a callback at an address that nobody was given is accepted", step.name)
		}
	}
	if rig.believes(key) {
		t.Error("a callback without a token is accepted where one is required")
	}
}

// A setting that needs tokens cannot be in force without tokens.
func TestReloadCannotRequireTokens(t *testing.T) {
	rig := newReloadRig(t, "token_secret: ", "# ")
	rig.write(someSource, someSource+"    callback_token: required\n", someKey, newKey)
	if rig.reload(t.Context()) || !strings.Contains(rig.log.String(), "callback_token: required") {
		t.Errorf("callbacks without a token go on, and the log says:\n%s", &rig.log)
	}
	if rig.believes("another-key-of-the-tests") {
		t.Error("a part of the refused configuration is in force")
	}
}

// A change that needs a restart is logged once, and not recorded as if it were in force.
func TestReloadNamesSettingsThatNeedARestart(t *testing.T) {
	rig := newReloadRig(t)
	before := rig.actions()
	const restart, bound = "settings other than sources changed; restart the receiver to apply them", "polls keep the longest timeouts.request"
	rest := []string{"audit:", "log: {level: debug}\naudit:"}
	for _, step := range []struct {
		name     string
		parts    []string
		recorded bool
		want     []string // in the log, and no other warning
	}{
		{"something else", rest, false, []string{restart}},
		{"nothing new", rest, false, nil},
		{"a source too", append(rest, someKey, newKey), true, []string{"keys and sources reloaded", restart}},
		{"the source alone", []string{someKey, newKey}, false, nil},
		{"a longer timeout", []string{someSource, someSource + "    timeouts: {request: 1m}\n"}, true, []string{"keys and sources reloaded", bound}},
		{"a shorter timeout", []string{someSource, someSource + "    timeouts: {request: 1s}\n"}, true, []string{"keys and sources reloaded"}},
	} {
		rig.write(step.parts...)
		if !rig.reload(t.Context()) {
			t.Errorf("%s: not done:\n%s", step.name, &rig.log)
		}
		got := strings.Split(strings.TrimSpace(rig.log.String()), "\n")
		for i, want := range step.want {
			if i >= len(got) || !strings.Contains(got[i], want) {
				t.Errorf("%s: the log says %q, want %q", step.name, got, step.want)
			}
		}
		if len(step.want) < len(got) && got[0] != "" {
			t.Errorf("%s: the log says %q, want %q", step.name, got, step.want)
		}
		if now := rig.actions(); (now > before) != step.recorded {
			t.Errorf("%s: recorded %v, want %v", step.name, now > before, step.recorded)
		}
		before = rig.actions()
		force := *rig.in.cfg
		force.Sources = rig.in.explainer.cfg.Load().Sources
		details, err := configDetails(&force)
		if err != nil {
			t.Fatal(err)
		}
		if got := rig.lastAction(); !strings.Contains(got, details["config"].(string)) {
			t.Errorf("%s: the last action is %s, want %v in it: what is in force", step.name, got, details["config"])
		}
	}
}

// A file that only a start reads, or that is read again on its own, delays no key when it breaks:
// its earlier contents stay in force, the log says so once, and no receiver starts with it.
func TestBrokenFileDelaysNoKey(t *testing.T) {
	made, err := cluster.Make(cluster.Options{Folder: t.TempDir(), Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(made.CAFile)
	cert, secret, ca := filepath.Join(folder, "node.pem"), filepath.Join(folder, "node.key"), made.CAFile
	put := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", cert, secret)
	const public, private, nats = "public:\n", "private:\n", "embedded:\n"
	for _, row := range []struct{ name, at, setting, file string }{
		{"the public certificate", public, "  " + files, cert},
		{"the private certificate", private, "  " + files, cert},
		{"its key", private, "  " + files, secret},
		{"the clients' authorities", private, fmt.Sprintf("  tls: {cert_file: %q, key_file: %q, client_ca_file: %q}", cert, secret, ca), ca},
		{"the certificate of the NATS port", nats, "    " + files, cert},
		{"the authorities of a source", someSource, fmt.Sprintf("    tls: {ca_file: %q}", ca), ca},
	} {
		t.Run(row.name, func(t *testing.T) {
			whole, err := os.ReadFile(row.file)
			if err != nil {
				t.Fatal(err)
			}
			defer put(row.file, whole)
			rig := newReloadRig(t, row.at, row.at+row.setting+"\n")
			authorities := rig.in.cfg.Sources[rigSource].TLS.Authorities
			put(row.file, []byte("broken"))
			rig.write(row.at, row.at+row.setting+"\n", someKey, newKey)
			if !rig.reload(t.Context()) || !rig.believes("another-key-of-the-tests") {
				t.Fatalf("the new key is not in force:\n%s", &rig.log)
			}
			if got := rig.log.String(); strings.Count(got, "the previous file stays in use") != 1 || !strings.Contains(got, `"level":"warn"`) {
				t.Errorf("the log does not tell of the file once:\n%s", got)
			}
			if now := rig.in.explainer.cfg.Load().Sources[rigSource].TLS.Authorities; !bytes.Equal(now, authorities) {
				t.Error("other authorities are believed")
			}
			if rig.reload(t.Context()); strings.Contains(rig.log.String(), "stays in use") {
				t.Errorf("the log tells it again:\n%s", &rig.log)
			}
			if _, err := ReadConfig(rig.file, os.Environ(), nil); err == nil {
				t.Error("a receiver would start with it")
			}
		})
	}
	t.Run("a source's file that was never read", func(t *testing.T) {
		rig := newReloadRig(t)
		rig.write(someSource, someSource+"    tls: {ca_file: none.pem}\n", someKey, newKey)
		if rig.reload(t.Context()) || rig.believes("another-key-of-the-tests") {
			t.Error("a source without the authorities that it names is in force")
		}
	})
}
