package natsserver

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/consumers"
	"receiver/internal/natsserver/storefolder"
)

const (
	// maxConsumerConnections is how many connections a consumer may have at once.
	maxConsumerConnections = 8
	// maxSubscriptions is how many subscriptions a connection may have. A client needs one or two
	// for its answers.
	maxSubscriptions = 1024
	// maxControlLine is how long a line of a client may be, in bytes, before and after it has
	// signed in.
	maxControlLine = 4096
	// signInTimeout is how long a client may take to sign in.
	signInTimeout = 2 * time.Second
	// reservedConnections are kept for this process and for others of this program.
	reservedConnections = 16
)

// connFilter decides which clients may use the embedded server. The server calls it at every
// connection, so a consumer that is added or removed needs no reload.
type connFilter struct {
	folder string
	owner  string // public keys
	uplink string // key of the connection to the hub; empty if there is none
	limit  int    // connections
	log    zerolog.Logger
	ns     atomic.Pointer[server.Server]
	full   chan struct{} // signals that a connection waits because all are in use
	consumerList
	signatureMu sync.Mutex       // held while a signature is verified: unauthenticated clients use one processor at most
	sent        map[uint64]int64 // messages of each connection at the last check
	checkMu     sync.Mutex       // held by a check
	accountsMu  sync.Mutex       // held while an account is made or its connections are counted
	refused     [reasons]atomic.Uint64
}

// reason is why a client is refused.
type reason int

const (
	// unauthenticated: the client has no credentials that are known here.
	unauthenticated reason = iota
	// tooManyConnections: the consumer, or all consumers together, have too many connections.
	tooManyConnections
	// tooManyRequests: the consumer sends requests faster than it reads the answers.
	tooManyRequests
	// evicted: the connection had not signed in, and all connections were in use.
	evicted
	reasons
)

var reasonNames = [reasons]string{"stranger", "connections", "flood", "room"}

func (r reason) String() string { return reasonNames[r] }

// refusal is why a client is not admitted.
type refusal struct {
	reason
	error
}

// newConnFilter returns the filter of a folder.
func newConnFilter(e Embedded, owner nkeys.KeyPair) (*connFilter, error) {
	f := &connFilter{folder: e.Folder, limit: cmp.Or(e.MaxConnections, server.DEFAULT_MAX_CONNECTIONS), log: e.Log, full: make(chan struct{}, 1)}
	var err error
	if f.owner, err = owner.PublicKey(); err != nil {
		return nil, fmt.Errorf("reading the store's own key: %w", err)
	}
	if e.Edge != nil {
		if f.uplink, err = e.Edge.user.PublicKey(); err != nil {
			return nil, fmt.Errorf("reading the key of the link to the hub: %w", err)
		}
	}
	return f, nil
}

// Check admits a client as the user whose key it proves to have, or refuses it.
func (f *connFilter) Check(c server.ClientAuthentication) bool {
	err := f.authenticate(c)
	if err == nil {
		return true
	}
	why := unauthenticated
	if r, ok := errors.AsType[refusal](err); ok {
		why = r.reason
	}
	f.refuse(why, c.RemoteAddress(), err)
	return false
}

// refuse logs and counts a refusal. The log limits its own rate.
func (f *connFilter) refuse(why reason, address fmt.Stringer, err error) {
	f.refused[why].Add(1)
	f.log.Warn().Err(err).Stringer("reason", why).Stringer("remote", address).Msg("the NATS port refused a client")
}

var errUnauthenticated = errors.New("it has no credentials from `receiver consumers add` of this store")

func (f *connFilter) authenticate(c server.ClientAuthentication) error {
	ns := f.ns.Load()
	if ns == nil {
		return errors.New("the server is not up yet")
	}
	switch opts := c.GetOpts(); {
	case opts.Sig == "":
		return errUnauthenticated
	case opts.Nkey == f.owner:
		return registerUser(c, ns, f.owner, storefolder.OwnerAccount)
	case f.uplink != "" && opts.Nkey == f.uplink:
		return registerUser(c, ns, f.uplink, uplinkAccount)
	}
	one, ok := f.find(c)
	if !ok {
		return errUnauthenticated
	}
	return f.registerConsumer(c, ns, one)
}

// find returns the consumer that signed. It does not see the token of a credentials file: the
// server drops it unless an operator signs its accounts. The token would say no more than the
// signature does, which fits one key only.
func (f *connFilter) find(c server.ClientAuthentication) (consumers.Consumer, bool) {
	all := f.consumers()
	f.signatureMu.Lock()
	defer f.signatureMu.Unlock()
	nkey := c.GetOpts().Nkey
	for _, one := range all {
		if (nkey == one.Key || nkey == "") && verifySignature(c, one.Key) == nil {
			return one, true
		}
	}
	return consumers.Consumer{}, false
}

// registerUser admits a client of this program.
func registerUser(c server.ClientAuthentication, ns *server.Server, key, account string) error {
	if err := verifySignature(c, key); err != nil {
		return err
	}
	a, err := ns.LookupAccount(account)
	if err == nil {
		c.RegisterUser(&server.User{Username: key, Account: a})
	}
	return err
}

// registerConsumer admits a consumer whose signature is right.
func (f *connFilter) registerConsumer(c server.ClientAuthentication, ns *server.Server, consumer consumers.Consumer) error {
	f.accountsMu.Lock()
	defer f.accountsMu.Unlock()
	a, err := account(ns, consumer)
	if err != nil {
		return fmt.Errorf("making the account of consumer %s: %w", consumer.Name, err)
	}
	if overPending(ns, consumer) {
		return refusal{tooManyRequests, fmt.Errorf("consumer %s waits for too many answers; it can connect again when fewer are pending", consumer.Name)}
	}
	if a.NumLocalConnections() >= maxConsumerConnections {
		return refusal{tooManyConnections, fmt.Errorf("consumer %s has %d connections, the limit", consumer.Name, maxConsumerConnections)}
	}
	all := 0
	for _, one := range f.consumers() {
		if a, err := ns.LookupAccount(accountOf(one)); err == nil {
			all += a.NumLocalConnections()
		}
	}
	if all >= f.maxConnections()-f.reserved() {
		return refusal{tooManyConnections, fmt.Errorf("all consumers have %d connections together, the limit", all)}
	}
	c.RegisterUser(&server.User{Username: consumer.Key, Account: a, Permissions: permissions(consumer)})
	return nil
}

// reserved is how many connections are kept for other processes of this program, and as many are
// kept for this one.
func (f *connFilter) reserved() int { return min(reservedConnections, f.limit/4) }

// maxConnections is how many connections the port takes at once.
func (f *connFilter) maxConnections() int { return f.limit - f.reserved() }

// verifySignature returns an error unless the client has signed its nonce with the key.
func verifySignature(c server.ClientAuthentication, key string) error {
	public, err := nkeys.FromPublicKey(key)
	if err != nil {
		return err
	}
	sig, err := base64.RawURLEncoding.DecodeString(c.GetOpts().Sig)
	if err != nil { // clients in JavaScript
		sig, err = base64.StdEncoding.DecodeString(c.GetOpts().Sig)
	}
	if err == nil && len(c.GetNonce()) == 0 {
		err = errors.New("the server sent no nonce to sign")
	}
	if err == nil {
		err = public.Verify(c.GetNonce(), sig)
	}
	if err != nil {
		return fmt.Errorf("its signature does not match its key: %w", err)
	}
	return nil
}
