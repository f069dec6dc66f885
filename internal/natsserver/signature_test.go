package natsserver_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

// Clients write the signature in the one base64 or the other: nats.js pads it.
func TestEverySpellingOfASignatureIsRead(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	for name, spelling := range map[string]*base64.Encoding{"Go": base64.RawURLEncoding, "JavaScript": base64.StdEncoding} {
		p := dialPort(t, c.Server)
		sig, err := c.key(t, "a").Sign([]byte(p.nonce))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.greet(greeting{JWT: c.token(t, "a"), Sig: spelling.EncodeToString(sig)}); strings.TrimSpace(got) != "PONG" {
			t.Errorf("signed as in %s, the server says %q", name, got)
		}
	}
}
