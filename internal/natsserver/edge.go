package natsserver

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// Edge makes an embedded server a leaf node of a hub: another NATS system, reached by one
// connection that this side opens and reopens.
type Edge struct {
	// Name is the JetStream domain of this server and its name at the hub; no other leaf node of
	// the hub may have it.
	Name string
	// Hub is how to reach the hub's leaf node listeners.
	Hub conn.External
	// Domain is the JetStream domain of the hub.
	Domain string

	user nkeys.KeyPair // of the connection that reaches the hub through this server
}

// uplinkAccount is the account that the hub is connected to. It has no streams, and only the
// Forwarder publishes in it. So an event of this side does not reach the hub's streams by itself,
// nor one of the hub's reach these, although both have the same subjects.
const uplinkAccount = "UPLINK"

// uplinkAPI are the read requests that the hub may send about this side's streams.
func uplinkAPI() []string {
	var all []string
	for _, stream := range []string{conn.JobsStream, conn.AttemptsStream, "OBJ_" + conn.PayloadBucket} {
		all = append(all, "STREAM.INFO."+stream, "STREAM.MSG.GET."+stream, "DIRECT.GET."+stream)
	}
	return all
}

// hubAPI are the requests that the owner may send about the hub's streams, for the doctor.
func (e *Edge) hubAPI() []string {
	there := conn.Options{Domain: e.Domain}
	return []string{there.API("STREAM.INFO." + conn.JobsStream), there.API("STREAM.INFO." + conn.AttemptsStream)}
}

// account returns the account of the uplink in the server's configuration language, and the imports
// that the owner's account needs for it. The server itself maps `$JS.<name>.API.…` to `$JS.API.…`
// for requests from the hub.
func (e *Edge) account() (uplink, ownerImports string) {
	exports, imports, owner := new(strings.Builder), new(strings.Builder), new(strings.Builder)
	for _, subject := range uplinkAPI() {
		fmt.Fprintf(imports, "{service: {account: %s, subject: %q}, to: %q}\n", storefolder.OwnerAccount, ownerAPI+subject, usualAPI+subject)
	}
	for _, subject := range e.hubAPI() {
		fmt.Fprintf(exports, "{service: %q, accounts: [%s]}\n", subject, storefolder.OwnerAccount)
		fmt.Fprintf(owner, "{service: {account: %s, subject: %q}}\n", uplinkAccount, subject)
	}
	return fmt.Sprintf("  %s {\n    exports: [\n%s]\n    imports: [\n%s]\n  }\n", uplinkAccount, exports, imports), owner.String()
}

// leaf returns the connection to the hub in the server's configuration language.
func (e *Edge) leaf() string {
	var b strings.Builder
	fmt.Fprintf(&b, "leafnodes { write_deadline: %q, remotes: [ {\n  account: %s\n  urls: [", leafTimeout, uplinkAccount)
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

// tls reports whether the connection is encrypted: by the URL's scheme, or because files are given.
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

// withUser returns a copy with a user of its own. Its key is never stored.
func (e *Edge) withUser() (*Edge, error) {
	if e == nil {
		return nil, nil
	}
	edge := *e
	var err error
	if edge.user, err = nkeys.CreateUser(); err != nil {
		return nil, fmt.Errorf("making a key for the link to the hub: %w", err)
	}
	return &edge, nil
}

// Uplink returns a number of the connection to the hub that no earlier connection had; 0 if there
// is none.
func (s *Server) Uplink() uint64 {
	leafs, err := s.ns.Load().Leafz(nil)
	if err != nil || len(leafs.Leafs) == 0 {
		return 0
	}
	return leafs.Leafs[0].ID
}

// leafPings is how many heartbeats of the hub may be missing before the connection to it is closed,
// and leafTimeout is how long that takes. On a slow link a heartbeat waits behind the largest
// message, and closing the connection loses the messages in flight.
const (
	leafPings   = int(conn.HubPayload/conn.SlowLine*time.Second/conn.PingInterval) + 2
	leafTimeout = time.Duration(leafPings+1) * conn.PingInterval
)

// Hub is the hub as it is reached through this server.
func (s *Server) Hub() (conn.Endpoint, error) { return s.endpoint(s.e.Edge.user) }

// StoreKey returns the public key of the store's owner, which identifies this store.
func (s *Server) StoreKey() (string, error) {
	key, err := s.owner.PublicKey()
	if err != nil {
		return "", fmt.Errorf("reading the store's own key: %w", err)
	}
	return key, nil
}
