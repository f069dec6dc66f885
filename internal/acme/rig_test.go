package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"receiver/internal/acme"
	"receiver/internal/entry"
	"receiver/internal/web"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	_ = os.Setenv("PEBBLE_AUTHZREUSE", "0")      // each order has its challenges
	_ = os.Setenv("PEBBLE_WFE_NONCEREJECT", "0") // else it has some requests sent twice, and they are counted
	os.Exit(m.Run())                             //nolint:forbidigo // of the tests
}

const (
	name    = "hooks.example.com"
	other   = "other.example.com"
	blocked = "blocked.example.com" // by the authority's policy
	lost    = "lost.example.com"    // leads nowhere

	patience = time.Minute
	life     = 90 * 24 * time.Hour
)

// rig is an authority, Let's Encrypt's own Pebble, and where a receiver listens.
type rig struct {
	t         *testing.T
	folder    string
	address   string   // of the listener
	socket    *os.File // it, which stays while receivers come and go
	roots     *x509.CertPool
	directory string
	trust     []byte       // in PEM, by which the directory is believed
	down      atomic.Bool  // the authority answers 503
	limited   atomic.Bool  // it answers orders 429, for two hours
	asked     atomic.Int64 // requests
	orders    atomic.Int64 // of them for a new order
	ahead     atomic.Int64 // the receiver's clock
	looks     atomic.Int64 // at it
	log       lines
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
	r := &rig{t: t, folder: t.TempDir() + "/acme", roots: x509.NewCertPool()}
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
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	if err := store.AddBlockedDomain(blocked); err != nil {
		t.Fatal(err)
	}
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(life / time.Second)}})
	r.roots.AddCert(signer.GetRootCert(0).Cert)
	port := ln.Addr().(*net.TCPAddr).Port
	front := wfe.New(quiet, store, va.New(quiet, 1, port, true, resolver(t), store), signer, []string{"ca.example"}, true, false, 1, 1)
	inner := front.Handler()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.asked.Add(1)
		order := strings.HasPrefix(q.URL.Path, "/order-plz")
		if order {
			r.orders.Add(1)
		}
		switch {
		case r.down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case order && r.limited.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}`)
		default:
			inner.ServeHTTP(w, q)
		}
	}))
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	r.directory = s.URL + wfe.DirectoryPath
	r.trust = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return r
}

// resolver leads all names but one to this machine.
func resolver(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg)
		a.SetReply(q)
		if one := q.Question[0]; one.Qtype == dns.TypeA && one.Name != lost+"." {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: one.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(a)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return ln.Addr().String()
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
		Names: names, Email: "ops@example.com", Directory: r.directory, Folder: r.folder, Roots: r.trust, Look: 5 * time.Millisecond,
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
		Header: 1 << 14, ReadHeader: patience, Read: patience, Write: patience, Idle: patience,
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
	return v.shows(&tls.Config{ServerName: name, RootCAs: v.rig.roots})
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
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
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
	if got := r.orders.Load(); got != want {
		r.log.Lock()
		defer r.log.Unlock()
		r.t.Errorf("%s: %d orders, want %d\n%s", when, got, want, &r.log.Buffer)
	}
}
