//go:build browser

// Package browser_test drives the page in Chromium: drive.mjs says what holds of each view.
package browser_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/logkey"
	"receiver/internal/cluster"
	"receiver/internal/natstest"
	"receiver/internal/service"
	"receiver/internal/simulator"
)

// platformKey is the key that the platforms sign with.
const platformKey = "signature-key-of-the-tests"

//go:embed config.yaml.tmpl
var configTemplate string

// rig is a receiver with all that is around it: three platforms, a sink, two witnesses, a token
// for each scope.
type rig struct {
	*service.Instance
	platforms map[string]*simulator.Server
	tokens    map[string]string
	sinkDown  atomic.Pointer[string] // the sink answers 500 with this; nil while it takes events
	folder    string
}

// newRig starts a receiver on a folder, which may hold streams already. The platforms have the
// contract's objects, and these.
func newRig(t testing.TB, folder string, objects ...string) *rig {
	t.Helper()
	r := &rig{platforms: map[string]*simulator.Server{}, tokens: map[string]string{}, folder: folder}
	values := map[string]any{"Key": platformKey, "Secret": rand.Text(), "Sink": r.sink(t), "SinkSecret": "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text()))}
	for name, o := range map[string]simulator.Options{
		"crm":    {JobDuration: 10 * time.Second, TimeScale: 0.02, Seed: 7},
		"shop":   {JobDuration: 24 * time.Hour},
		"legacy": {JobDuration: 24 * time.Hour},
	} {
		o.Objects = append([]string{"activities", "contact", "campaign", "list", "account"}, objects...)
		o.Element, o.User, o.SignatureKey, o.Log = "element", "user", platformKey, zerolog.Nop()
		s, err := simulator.Listen("127.0.0.1:0", o)
		natstest.Must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		r.platforms[name], values[name] = s, s.URL
	}
	for _, name := range []string{"witness.example/w1", "witness.example/w2"} {
		w := audittest.NewWitness(name)
		values["Witness"+name[len(name)-1:]], values["WitnessKey"+name[len(name)-1:]] = w.Serve(t), w.Key.VerifierKey()
	}
	key, err := logkey.Generate("browser")
	natstest.Must(t, err)
	values["LogKey"] = key.Secret()
	for _, name := range []string{"Public", "Private"} {
		port, err := cluster.FreePort()
		natstest.Must(t, err)
		values[name] = fmt.Sprint("127.0.0.1:", port)
	}
	r.addTokens(t)
	var text bytes.Buffer
	natstest.Must(t, template.Must(template.New("").Option("missingkey=error").Parse(configTemplate)).Execute(&text, values))
	path := filepath.Join(r.folder, "config.yaml")
	natstest.Must(t, os.WriteFile(path, text.Bytes(), 0o600))
	cfg, err := service.ReadConfig(path, nil, nil)
	natstest.Must(t, err)
	r.Instance, err = service.Start(context.WithoutCancel(t.Context()), cfg, zerolog.Nop())
	natstest.Must(t, err)
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// addTokens makes a token for each scope, and one with all.
func (r *rig) addTokens(t testing.TB) {
	t.Helper()
	for name, scopes := range map[string][]access.Scope{
		"operator": access.Scopes, "reader": {access.Read}, "auditor": {access.Audit},
		"submitter": {access.Read, access.Submit}, "admin": {access.Admin},
	} {
		secret, token, err := access.New(name, scopes, time.Now(), time.Time{})
		natstest.Must(t, err)
		natstest.Must(t, access.Add(filepath.Join(r.folder, "receiver-tokens.json"), token))
		r.tokens[name] = secret
	}
}

// sink is an address that takes events, while it is not down.
func (r *rig) sink(t testing.TB) string {
	t.Helper()
	port, err := cluster.FreePort()
	natstest.Must(t, err)
	s := &http.Server{Addr: fmt.Sprint("127.0.0.1:", port), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if why := r.sinkDown.Load(); why != nil {
			http.Error(w, *why, http.StatusInternalServerError)
		}
	})}
	go func() { _ = s.ListenAndServe() }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + s.Addr + "/events"
}

// ask asks the API as the operator, and returns its answer.
func (r *rig) ask(t testing.TB, method, path string, body io.Reader, mediaType string) []byte {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.PrivateURL()+path, body)
	natstest.Must(t, err)
	q.Header.Set("Authorization", "Bearer "+r.tokens["operator"])
	if mediaType != "" {
		q.Header.Set("Content-Type", mediaType)
	}
	answer, err := http.DefaultClient.Do(q)
	natstest.Must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	natstest.Must(t, err)
	if answer.StatusCode > 299 {
		t.Fatalf("%s %s = %d %s", method, path, answer.StatusCode, text)
	}
	return text
}

// read reads an answer of the API.
func read[T any](t testing.TB, r *rig, path string) (v T) {
	t.Helper()
	natstest.Must(t, json.Unmarshal(r.ask(t, http.MethodGet, path, nil, ""), &v))
	return v
}

// submit submits a file, whose job has these faults, and returns its id.
func (r *rig) submit(t testing.TB, source, object, faults string, file []byte) string {
	t.Helper()
	query := url.Values{"object": {object}, "file_name": {"contacts.csv"}, "callback_payload": {`{"order":4711}`}}
	if faults != "" {
		query.Set("metadata", fmt.Sprintf(`{"simulate":%q}`, faults))
	}
	var made struct {
		Job string `json:"job"`
	}
	natstest.Must(t, json.Unmarshal(r.ask(t, http.MethodPost, "/v1/sources/"+source+"/jobs?"+query.Encode(), bytes.NewReader(file), "text/csv"), &made))
	if made.Job == "" {
		t.Fatalf("a submission to %s names no job", source)
	}
	return made.Job
}

func signature(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// call sends a callback as anybody could, and returns the status of its answer.
func (r *rig) call(t testing.TB, source, signature string, body []byte, headers ...string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.PublicURL()+"/callbacks/"+source, bytes.NewReader(body))
	natstest.Must(t, err)
	q.Header.Set("Content-Type", "application/json")
	if signature != "" {
		q.Header.Set("Elements-Webhook-Signature", signature)
	}
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(q)
	natstest.Must(t, err)
	natstest.Must(t, answer.Body.Close())
	return answer.StatusCode
}
