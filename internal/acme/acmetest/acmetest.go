// Package acmetest is an authority for tests of ACME: Let's Encrypt's own Pebble, in this process
// and on loopback, with the DNS that it asks. The program never uses it.
package acmetest

import (
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
)

// Names with which an order fails.
const (
	// Blocked is refused by the authority's policy.
	Blocked = "blocked.example.com"
	// Lost leads nowhere; all other names lead to this machine.
	Lost = "lost.example.com"
)

// Life is that of a certificate.
const Life = 90 * 24 * time.Hour

// Authority is one that runs.
type Authority struct {
	// Directory is its URL, and Trust, in PEM, by which its server is believed.
	Directory string
	Trust     []byte
	// Roots are those of its certificates.
	Roots *x509.CertPool
	// Down has it answer 503, and Limited answer orders 429, for a week.
	Down, Limited atomic.Bool
	// Asked counts requests, and Orders those for an order.
	Asked, Orders atomic.Int64
}

// settings keep requests countable: none is refused at random, and each order has its challenges.
var settings = sync.OnceFunc(func() {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"} {
		_ = os.Setenv(name, value)
	}
})

// Start runs an authority until the test ends. It looks after names at a port of 127.0.0.1.
func Start(t *testing.T, port int) *Authority {
	t.Helper()
	settings()
	a := &Authority{Roots: x509.NewCertPool()}
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	if err := store.AddBlockedDomain(Blocked); err != nil {
		t.Fatal(err)
	}
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(Life / time.Second)}})
	a.Roots.AddCert(signer.GetRootCert(0).Cert)
	front := wfe.New(quiet, store, va.New(quiet, 1, port, true, resolver(t), store), signer, []string{"ca.example"}, true, false, 1, 1)
	s := httptest.NewUnstartedServer(a.around(front.Handler()))
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	a.Directory = s.URL + wfe.DirectoryPath
	a.Trust = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return a
}

// around counts requests, and fails as configured.
func (a *Authority) around(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		a.Asked.Add(1)
		order := strings.HasPrefix(q.URL.Path, "/order-plz")
		if order {
			a.Orders.Add(1)
		}
		switch {
		case a.Down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case order && a.Limited.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "604800")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}`)
		default:
			inner.ServeHTTP(w, q)
		}
	})
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
		if one := q.Question[0]; one.Qtype == dns.TypeA && one.Name != Lost+"." {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: one.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(a)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return ln.Addr().String()
}
