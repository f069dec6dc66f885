package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/acme"
	"receiver/internal/acme/acmetest"
	"receiver/internal/entry"
	"receiver/internal/web"
)

const (
	name    = "hooks.example.com"
	other   = "other.example.com"
	timeout = time.Minute
	life    = acmetest.Life
)

// rig is an authority, and where a receiver listens.
type rig struct {
	*acmetest.Authority
	t       *testing.T
	folder  string
	address string       // of the listener
	socket  *os.File     // it, which stays while receivers come and go
	ahead   atomic.Int64 // the receiver's clock
	looks   atomic.Int64 // at it
	log     lines
}

type lines struct {
	sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) count(what string) int {
	l.Lock()
	defer l.Unlock()
	return strings.Count(l.String(), what)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir() + "/acme"}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = ln.Addr().String()
	if r.socket, err = ln.(*net.TCPListener).File(); err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	t.Cleanup(func() { _ = r.socket.Close() })
	r.Authority = acmetest.Start(t, ln.Addr().(*net.TCPAddr).Port)
	return r
}

// receiver is a listener with its keeper.
type receiver struct {
	*acme.Keeper
	rig *rig
	end func()
}

// receive starts a receiver; it ends with the test, or before.
func (r *rig) receive(names ...string) *receiver {
	r.t.Helper()
	k, err := acme.New(acme.Options{
		Names: names, Email: "ops@example.com", Directory: r.Directory, Folder: r.folder, Roots: r.Trust, Look: 5 * time.Millisecond,
		Now: func() time.Time { r.looks.Add(1); return time.Now().Add(time.Duration(r.ahead.Load())) },
		Log: zerolog.New(&r.log),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := entry.Security{Certificate: k.Certificate(), Challenge: k.Challenge}.Config()
	if err != nil {
		r.t.Fatal(err)
	}
	ln, err := net.FileListener(r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	server := web.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), web.Limits{
		Header: 1 << 14, ReadHeader: timeout, Read: timeout, Write: timeout, Idle: timeout,
	}, log.New(io.Discard, "", 0))
	server.TLSConfig = c
	ctx, cancel := context.WithCancel(r.t.Context())
	var beside sync.WaitGroup
	beside.Go(func() { k.Run(ctx) })
	beside.Go(func() { _ = web.NewListener(ln, web.Bound{Most: 100}).Serve(server) })
	v := &receiver{Keeper: k, rig: r}
	v.end = sync.OnceFunc(func() {
		cancel()
		_ = server.Close()
		beside.Wait()
	})
	r.t.Cleanup(v.end)
	return v
}

// serves returns what a client that asks for a name is shown and believes.
func (v *receiver) serves(name string) (*x509.Certificate, error) {
	return v.shows(&tls.Config{ServerName: name, RootCAs: v.rig.Roots})
}

func (v *receiver) shows(client *tls.Config) (*x509.Certificate, error) {
	_, _ = v.Certificate().Reload() // as the program does every two seconds
	conn, err := tls.Dial("tcp", v.rig.address, client)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// awaits returns the certificate of a name as soon as it is served and another than before.
func (v *receiver) awaits(name string, before *x509.Certificate) *x509.Certificate {
	v.rig.t.Helper()
	var now *x509.Certificate
	v.rig.eventually("another certificate for "+name, func() (err error) {
		now, err = v.serves(name)
		return err
	}, func() bool { return before == nil || !now.Equal(before) })
	return now
}

// eventually waits until get has no error, and what holds does.
func (r *rig) eventually(what string, get func() error, holds func() bool) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for end := time.Now().Add(timeout); time.Now().Before(end); <-tick.C {
		if err = get(); err == nil && holds() {
			return
		}
	}
	r.log.Lock()
	defer r.log.Unlock()
	r.t.Fatalf("%s: not in time: %v\n%s", what, err, &r.log.Buffer)
}

func none() error { return nil }

// failed waits until orders have failed so often, in all.
func (v *receiver) failed(times uint64) {
	v.rig.t.Helper()
	v.rig.eventually("orders fail", none, func() bool { return v.Failures() >= times })
	if got := v.Failures(); got != times {
		v.rig.t.Errorf("%d orders failed, want %d", got, times)
	}
}

// later puts the clock forward, and waits until it was looked at.
func (r *rig) later(by time.Duration) {
	r.ahead.Add(int64(by))
	r.looked()
}

// looked waits until the keeper has looked at the clock several times.
func (r *rig) looked() {
	r.t.Helper()
	before := r.looks.Load()
	r.eventually("the keeper looks at its clock", none, func() bool { return r.looks.Load() > before+10 })
}

// ordered holds how many orders there were.
func (r *rig) ordered(want int64, when string) {
	r.t.Helper()
	r.looked()
	if got := r.Orders.Load(); got != want {
		r.log.Lock()
		defer r.log.Unlock()
		r.t.Errorf("%s: %d orders, want %d\n%s", when, got, want, &r.log.Buffer)
	}
}
