package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"receiver/internal/cluster"
)

// signatureKey signs the callbacks of the tests' own source.
const signatureKey = "the-signature-key-of-the-tests"

// secondKey is the signature key of the simulated platform after a change.
const secondKey = "the-second-signature-key-of-the-tests"

// ports are those of one receiver and of the platform that it submits to. The receiver's public
// listener is at host.
type ports struct{ host, public, private, nats, platform string }

func newPorts() (ports, error) {
	p := ports{host: "127.0.0.1"}
	for _, port := range []*string{&p.public, &p.private, &p.nats, &p.platform} {
		n, err := cluster.FreePort()
		if err != nil {
			return p, err
		}
		*port = strconv.Itoa(n)
	}
	return p, nil
}

// writeConfig makes a folder in which receiver runs without a flag, with one source, demo.
func writeConfig(dir string, p ports, more ...string) error {
	text := fmt.Sprintf(`sources:
  demo:
    base_url: http://127.0.0.1:%s/elements/api-v2
    hub: marketing
    element_token: the-element-token-of-the-tests
    user_secret: the-user-secret-of-the-tests
    signature_keys:
      - name: first
        value: file:signature.key
    callback_base_url: http://127.0.0.1:%s
token_secret: the-token-secret-of-the-tests
public:
  address: %s:%s
private:
  address: 127.0.0.1:%s
`, p.platform, p.public, p.host, p.public, p.private)
	if len(more) == 0 {
		more = []string{"nats:\n  embedded:\n    address: 127.0.0.1:" + p.nats + "\n"}
	}
	text += strings.Join(more, "")
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "signature.key"), []byte(signatureKey+"\n"), 0o600)
}

// configured returns a folder with a configuration in it.
func configured(t *testing.T) string {
	t.Helper()
	dir, _ := configuredAt(t)
	return dir
}

// configuredAt is configured, and returns the address of the private listener, too.
func configuredAt(t *testing.T) (dir, private string) {
	t.Helper()
	dir = t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(dir, p); err != nil {
		t.Fatal(err)
	}
	return dir, "http://127.0.0.1:" + p.private
}

// sign returns the signature header's value for a body, as the platform makes it. OC: (a) rows 23
// to 25.
func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
