package publish

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Edge makes an embedded server a leaf node of a hub: somebody else's NATS, reached by one
// connection that this side opens and opens again.
type Edge struct {
	// Name is the JetStream domain of this server and its name at the hub; no other leaf of
	// the hub may have it.
	Name string
	// Hub is how the hub's leaf node listeners are reached.
	Hub External
	// Domain is the JetStream domain of the hub.
	Domain string

	user nkeys.KeyPair // of the connection that reaches the hub through this server
}

// uplinkAccount is the account that the hub is connected to. It has no streams, and
// nothing is published in it but by the Forwarder: an event of this side never reaches the
// hub's streams by itself, nor one of the hub's these, which have the same subjects.
const uplinkAccount = "UPLINK"

// uplinkAPI are the requests about this side's streams that the hub may make: to look.
func uplinkAPI() []string {
	var all []string
	for _, stream := range []string{JobsStream, AttemptsStream, "OBJ_" + PayloadBucket} {
		all = append(all, "STREAM.INFO."+stream, "STREAM.MSG.GET."+stream, "DIRECT.GET."+stream)
	}
	return all
}

// hubAPI are the requests about the hub's streams that the owner may make, for the doctor.
func (e *Edge) hubAPI() []string {
	there := Options{Domain: e.Domain}
	return []string{there.api("STREAM.INFO." + JobsStream), there.api("STREAM.INFO." + AttemptsStream)}
}

// account returns the account of the uplink in the server's configuration language, and
// what the owner's has to do with it. The server itself maps `$JS.<name>.API.…` to
// `$JS.API.…` for what comes from the hub.
func (e *Edge) account() (uplink, ownerImports string) {
	exports, imports, owner := new(strings.Builder), new(strings.Builder), new(strings.Builder)
	for _, subject := range uplinkAPI() {
		fmt.Fprintf(imports, "{service: {account: %s, subject: %q}, to: %q}\n", ownerAccount, ownerAPI+subject, usualAPI+subject)
	}
	for _, subject := range e.hubAPI() {
		fmt.Fprintf(exports, "{service: %q, accounts: [%s]}\n", subject, ownerAccount)
		fmt.Fprintf(owner, "{service: {account: %s, subject: %q}}\n", uplinkAccount, subject)
	}
	return fmt.Sprintf("  %s {\n    exports: [\n%s]\n    imports: [\n%s]\n  }\n", uplinkAccount, exports, imports), owner.String()
}

// leaf returns the connection to the hub in the server's configuration language.
func (e *Edge) leaf() string {
	var b strings.Builder
	fmt.Fprintf(&b, "leafnodes { write_deadline: %q, remotes: [ {\n  account: %s\n  urls: [", leafPatience, uplinkAccount)
	for _, url := range e.Hub.URLs {
		fmt.Fprintf(&b, "%q ", url)
	}
	b.WriteString("]\n")
	if e.Hub.CredentialsFile != "" {
		fmt.Fprintf(&b, "  credentials: %q\n", e.Hub.CredentialsFile)
	}
	if e.tls() {
		b.WriteString("  tls {")
		for key, file := range map[string]string{"ca_file": e.Hub.CAFile, "cert_file": e.Hub.CertFile, "key_file": e.Hub.KeyFile} {
			if file != "" {
				fmt.Fprintf(&b, " %s: %q,", key, file)
			}
		}
		b.WriteString(" timeout: 5 }\n")
	}
	b.WriteString("} ] }\n")
	return b.String()
}

// tls reports whether the line is encrypted: by the URL's scheme, or because files are given.
func (e *Edge) tls() bool {
	if e.Hub.CAFile != "" || e.Hub.CertFile != "" {
		return true
	}
	for _, url := range e.Hub.URLs {
		if strings.HasPrefix(url, "tls:") {
			return true
		}
	}
	return false
}

// withUser returns a copy that has a user of its own. Its key is never stored.
func (e *Edge) withUser() (*Edge, error) {
	if e == nil {
		return nil, nil
	}
	edge := *e
	var err error
	if edge.user, err = nkeys.CreateUser(); err != nil {
		return nil, fmt.Errorf("making a key for the line to the hub: %w", err)
	}
	return &edge, nil
}

// hubPayload is the largest message that is sent to a hub, the default of nats-server. A
// larger one, where a hub takes less, would make it close the line each time.
const hubPayload = 1 << 20

// uplink returns a number that the connection to the hub has and no other before it; 0 if
// there is none.
func (s *Server) uplink() uint64 {
	leafs, err := s.ns.Load().Leafz(nil)
	if err != nil || len(leafs.Leafs) == 0 {
		return 0
	}
	return leafs.Leafs[0].ID
}

// slowLine is the pace, in bytes a second, that is reckoned with for one stream: a line of
// twice as much carries the largest messages of both. No slower one is promised anything.
const slowLine = 32 << 10

// leafPings are how many signs of life the hub may owe before the line to it is closed, and
// leafPatience is how long that takes. One that is asked for behind the largest message on a
// slow line is not there sooner, and a line that is closed loses what is on its way.
const (
	leafPings    = int(hubPayload/slowLine*time.Second/pingInterval) + 2
	leafPatience = time.Duration(leafPings+1) * pingInterval
)

// openHub opens the hub's streams through this server, making those that are missing.
func (s *Server) openHub(ctx context.Context, o Options) (*Bus, error) {
	as, err := signIn(s.e.Edge.user)
	if err != nil {
		return nil, err
	}
	o.Domain, o.only, o.maxMessage = s.e.Edge.Domain, []string{JobsStream, AttemptsStream}, hubPayload
	return connect(ctx, "", o, append(baseOptions(o), nats.InProcessServer(s), as))
}
