package main_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"
)

// consumerLines are the lines that `consumers add` prints, and what is in them.
type consumerLines struct{ url, creds, prefix, first, durable string }

var addPrints = regexp.MustCompile(`(?m)^nc, err := nats\.Connect\("([^"]+)", nats\.UserCredentials\("([^"]+)"\), nats\.CustomInboxPrefix\("([^"]+)"\)(, nats\.TLSHandshakeFirst\(\))?\)
js, err := jetstream\.New\(nc\)
events, err := js\.Consumer\(ctx, "JOBS", "([^"]+)"\)$`)

func linesOf(text string) (consumerLines, error) {
	m := addPrints.FindStringSubmatch(text)
	if m == nil {
		return consumerLines{}, fmt.Errorf("consumers add prints other lines:\n%s", text)
	}
	return consumerLines{m[1], m[2], m[3], m[4], m[5]}, nil
}

// connect does what the lines do.
func (c consumerLines) connect(ctx context.Context, more ...nats.Option) (*nats.Conn, jetstream.Consumer, error) {
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	opts := []nats.Option{nats.UserCredentials(c.creds), nats.CustomInboxPrefix(c.prefix), nats.Timeout(waitTimeout), quiet}
	if c.first != "" {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	nc, err := nats.Connect(c.url, append(opts, more...)...)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err == nil {
		var events jetstream.Consumer
		if events, err = js.Consumer(ctx, "JOBS", c.durable); err == nil {
			return nc, events, nil
		}
	}
	nc.Close()
	return nil, nil, err
}

// consumeCommand acts as a consumer with the settings in a file: it prints the subjects of its
// events, acknowledges them, and prints "no more".
func consumeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: consume FILE")
	}
	err := consume(ts, args[0])
	for began := time.Now(); neg && err == nil && time.Since(began) < waitTimeout; {
		err = consume(ts, args[0]) // the receiver looks at the files from time to time
	}
	if neg && err == nil {
		ts.Fatalf("%s lets its holder in", args[0])
	}
	if !neg {
		ts.Check(err)
	} else {
		fmt.Fprintln(ts.Stderr(), err)
	}
}

func consume(ts *testscript.TestScript, file string) error {
	lines, err := linesOf(ts.ReadFile(file))
	ts.Check(err)
	ctx, refused := context.WithCancelCause(context.Background())
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	nc, events, err := lines.connect(ctx, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused(err) }))
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer nc.Close()
	for range events.CachedInfo().NumPending {
		msg, err := events.Next(jetstream.FetchContext(ctx))
		if err != nil {
			return err
		}
		if err := msg.DoubleAck(ctx); err != nil {
			return err
		}
		fmt.Fprintln(ts.Stdout(), msg.Subject())
	}
	fmt.Fprintln(ts.Stdout(), "no more")
	return nil
}

// add makes a consumer with the receiver in a folder, and returns the lines for it.
func add(t *testing.T, dir string, args ...string) consumerLines {
	t.Helper()
	p := start(t, dir, append([]string{"consumers", "add"}, args...)...)
	if code, err := p.end(0); err != nil || code != 0 {
		t.Fatalf("consumers add %v = exit %d, %v: %s", args, code, err, p.log)
	}
	lines, err := linesOf(p.out.String())
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestTheLinesForAConsumerWorkPasted compiles them into a program and runs it.
func TestTheLinesForAConsumerWorkPasted(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	serve := start(t, dir, "serve")
	public, _ := serve.listening(t)
	p := start(t, dir, "consumers", "add", "orders")
	if code, err := p.end(0); err != nil || code != 0 {
		t.Fatalf("consumers add = exit %d, %v: %s", code, err, p.log)
	}
	if _, ok, err := newCaller(public).finished(t.Context(), "17"); !ok || err != nil {
		t.Fatal(err)
	}
	program := fmt.Sprintf(`package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	ctx := context.Background()
	%s
	if err != nil {
		panic(err)
	}
	msg, err := events.Next(jetstream.FetchMaxWait(%d))
	if err == nil {
		err = msg.DoubleAck(ctx)
	}
	fmt.Print(msg.Subject(), err)
}
`, p.out, waitTimeout)
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", file).CombinedOutput()
	if err != nil || string(out) != "jobs.demo.17.finished<nil>" {
		t.Errorf("the program says %q, %v", out, err)
	}
}

// TestRemoveEndsALiveConnection has a consumer wait for events when it is removed.
func TestRemoveEndsALiveConnection(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	start(t, dir, "serve").listening(t)
	lines := map[string]consumerLines{"orders": add(t, dir, "orders"), "ledger": add(t, dir, "ledger")}
	closed := make(chan struct{})
	nc, events, err := lines["orders"].connect(t.Context(), nats.ReconnectWait(time.Millisecond),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	other, _, err := lines["ledger"].connect(t.Context(), nats.NoReconnect())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	waiting, err := events.Fetch(1, jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	remove := start(t, dir, "consumers", "remove", "orders")
	if code, err := remove.end(0); err != nil || code != 0 {
		t.Fatalf("consumers remove = exit %d, %v: %s", code, err, remove.log)
	}
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Fatal("its connection goes on")
	}
	if err := nc.LastError(); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the connection was closed by %v, want that it was refused when it came back", err)
	}
	for range waiting.Messages() {
		t.Error("it was handed an event")
	}
	if err := other.FlushTimeout(time.Minute); err != nil {
		t.Errorf("the other consumer's connection: %v", err)
	}
}

// TestTwoConsumersNeverShareADurable adds several at once, which all want one durable.
func TestTwoConsumersNeverShareADurable(t *testing.T) {
	t.Parallel()
	dir := configured(t)
	start(t, dir, "serve").listening(t)
	var adding []*process
	for i := range 4 {
		adding = append(adding, start(t, dir, "consumers", "add", fmt.Sprint("c", i), "--durable", "the-one"))
	}
	added := 0
	for _, p := range adding {
		code, err := p.end(0)
		switch {
		case err != nil || code != 0 && !strings.Contains(p.log.String(), "durable the-one belongs to consumer c"):
			t.Errorf("consumers add = exit %d, %v: %s", code, err, p.log)
		case code == 0:
			added++
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.creds"))
	if added != 1 || len(files) != 1 || err != nil {
		t.Errorf("%d consumers have the durable, and the credentials are in %q", added, files)
	}
}

// TestTheLinesForAConsumerOfAnEncryptedPort has a port on all addresses, so that the name comes
// from its certificate.
func TestTheLinesForAConsumerOfAnEncryptedPort(t *testing.T) {
	t.Parallel()
	authority := httptest.NewTLSServer(nil)
	t.Cleanup(authority.Close)
	key, err := x509.MarshalPKCS8PrivateKey(authority.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		writeConfig(dir, p, "nats:\n  embedded:\n    address: 0.0.0.0:"+p.nats+"\n    tls: {cert_file: nats.pem, key_file: nats-key.pem}\n"),
		os.WriteFile(filepath.Join(dir, "nats.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw}), 0o600),
		os.WriteFile(filepath.Join(dir, "nats-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	start(t, dir, "serve").listening(t)
	lines := add(t, dir, "orders")
	if want := "tls://" + authority.Certificate().DNSNames[0] + ":" + p.nats; lines.url != want || lines.first == "" {
		t.Errorf("consumers add names %q and %q, want %q and that TLS is first", lines.url, lines.first, want)
	}
	lines.url = "tls://127.0.0.1:" + p.nats // in the certificate, too; no resolver knows the other
	nc, _, err := lines.connect(t.Context(), nats.RootCAs(filepath.Join(dir, "nats.pem")))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
