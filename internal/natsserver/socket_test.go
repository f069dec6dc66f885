package natsserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"receiver/internal/natsserver"
	"receiver/internal/publish"
)

// greeting is the CONNECT of a client.
type greeting struct {
	User       string `json:"user,omitempty"`
	Pass       string `json:"pass,omitempty"`
	Token      string `json:"auth_token,omitempty"`
	Nkey       string `json:"nkey,omitempty"`
	Sig        string `json:"sig,omitempty"`
	JWT        string `json:"jwt,omitempty"`
	Account    string `json:"account,omitempty"`
	NewAccount bool   `json:"new_account,omitempty"`
	Echo       bool   `json:"echo"`
	Headers    bool   `json:"headers"`
	Silent     bool   `json:"no_responders"`
	Verbose    bool   `json:"verbose"`
}

// socket is a connection to the NATS port without a client library, which would not say what no
// client says.
type socket struct {
	net.Conn
	t     *testing.T
	lines *bufio.Reader
	nonce string
}

func dialPort(t *testing.T, s *natsserver.Server) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	p := &socket{Conn: conn, t: t, lines: bufio.NewReader(conn)}
	var info struct{ Nonce string }
	text, ok := strings.CutPrefix(p.line(), "INFO ")
	if err := json.Unmarshal([]byte(text), &info); !ok || err != nil || info.Nonce == "" {
		t.Fatalf("the server greets with %q, %v", text, err)
	}
	p.nonce = info.Nonce
	return p
}

// line returns what the server says next, or the error that it closed with.
func (p *socket) line() string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	if err != nil {
		return line + err.Error()
	}
	return line
}

func (p *socket) say(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p, format, args...); err != nil {
		p.t.Error(err)
	}
}

// greet introduces the client and returns what the server says to it: PONG, if it is let in.
func (p *socket) greet(g greeting) string {
	p.t.Helper()
	text, err := json.Marshal(g)
	if err != nil {
		p.t.Error(err)
	}
	p.say("CONNECT %s\r\nPING\r\n", text)
	return p.line()
}

// key is the secret in a consumer's credentials.
func (c portRig) key(t *testing.T, name string) nkeys.KeyPair {
	t.Helper()
	key, err := jwt.ParseDecoratedUserNKey(c.creds[name])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// token is what a consumer's credentials show to the server.
func (c portRig) token(t *testing.T, name string) string {
	t.Helper()
	token, err := jwt.ParseDecoratedJWT(c.creds[name])
	if err != nil {
		t.Error(err)
	}
	return token
}

func (c portRig) jetstream(t *testing.T, name string) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(c.connect(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// owners is the owner's own connection.
func owners(b *publish.Store) *nats.Conn { return b.JetStream().Conn() }
