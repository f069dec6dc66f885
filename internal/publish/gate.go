package publish

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
)

const (
	// connectionsEach is how many connections a consumer may have at once.
	connectionsEach = 8
	// mostSubscriptions is how many subscriptions a connection may have. A client needs one or
	// two for its answers.
	mostSubscriptions = 1024
	// mostControlLine is how long a line of a client may be, in bytes, before it has signed in
	// and after.
	mostControlLine = 4096
	// signInPatience is how long a client may take to sign in.
	signInPatience = 2 * time.Second
	// ourConnections are kept for this process, and for others of this program.
	ourConnections = 16
)

// gate decides who may use the embedded server. It is asked at every connection, so who
// is added to the folder or removed from it needs no other word.
type gate struct {
	folder  string
	owner   string // public keys
	uplink  string // of the line to the hub; empty if there is none
	most    int    // connections
	log     zerolog.Logger
	ns      atomic.Pointer[server.Server]
	crowded chan struct{} // is told that somebody found no room
	register
	signing sync.Mutex       // held while it is found out whose a signature is: strangers take one processor at most
	sent    map[uint64]int64 // messages of each connection at the last look
	looking sync.Mutex       // held by a look
	turn    sync.Mutex       // held while an account is made or its connections are counted
	refused [reasons]atomic.Uint64
}

// reason is why somebody is refused.
type reason int

const (
	// byStranger has no credentials that are known here.
	byStranger reason = iota
	// byCrowd is a consumer with too many connections, or one too many for all.
	byCrowd
	// byFlood is a consumer that asks faster than it takes the answers.
	byFlood
	// byRoom was one connection too many.
	byRoom
	reasons
)

var refusals = [reasons]string{"stranger", "connections", "flood", "room"}

func (r reason) String() string { return refusals[r] }

// turnedAway is why a client is not let in.
type turnedAway struct {
	reason
	error
}

// newGate returns the gate of a folder.
func newGate(e Embedded, owner nkeys.KeyPair) (*gate, error) {
	g := &gate{folder: e.Folder, most: cmp.Or(e.MaxConnections, server.DEFAULT_MAX_CONNECTIONS), log: e.Log, crowded: make(chan struct{}, 1)}
	var err error
	if g.owner, err = owner.PublicKey(); err != nil {
		return nil, fmt.Errorf("reading the owner's key: %w", err)
	}
	if e.Edge != nil {
		if g.uplink, err = e.Edge.user.PublicKey(); err != nil {
			return nil, fmt.Errorf("reading the key for the line to the hub: %w", err)
		}
	}
	return g, nil
}

// Check lets a client in, as the one whose key it proves to have, or refuses it.
func (g *gate) Check(c server.ClientAuthentication) bool {
	err := g.admit(c)
	if err == nil {
		return true
	}
	why := byStranger
	if r, ok := errors.AsType[turnedAway](err); ok {
		why = r.reason
	}
	g.refuse(why, c.RemoteAddress(), err)
	return false
}

// refuse says that somebody was refused and counts it. The log keeps to a rate by itself.
func (g *gate) refuse(why reason, address fmt.Stringer, err error) {
	g.refused[why].Add(1)
	g.log.Warn().Err(err).Stringer("reason", why).Stringer("address", address).Msg("a client of the NATS port was refused")
}

var errStranger = errors.New("it has no credentials that `receiver consumers add` made for this store")

func (g *gate) admit(c server.ClientAuthentication) error {
	ns := g.ns.Load()
	if ns == nil {
		return errors.New("the server is not up yet")
	}
	switch opts := c.GetOpts(); {
	case opts.Sig == "":
		return errStranger
	case opts.Nkey == g.owner:
		return enter(c, ns, g.owner, ownerAccount)
	case g.uplink != "" && opts.Nkey == g.uplink:
		return enter(c, ns, g.uplink, uplinkAccount)
	}
	one, ok := g.find(c)
	if !ok {
		return errStranger
	}
	return g.enter(c, ns, one)
}

// find returns the consumer that has signed. The token of a credentials file does not get here:
// the server drops it unless its accounts are an operator's. It would say no more than the
// signature does, which fits one key only.
func (g *gate) find(c server.ClientAuthentication) (consumers.Consumer, bool) {
	all := g.consumers()
	g.signing.Lock()
	defer g.signing.Unlock()
	nkey := c.GetOpts().Nkey
	for _, one := range all {
		if (nkey == one.Key || nkey == "") && proves(c, one.Key) == nil {
			return one, true
		}
	}
	return consumers.Consumer{}, false
}

// enter lets a client of ours in.
func enter(c server.ClientAuthentication, ns *server.Server, key, account string) error {
	if err := proves(c, key); err != nil {
		return err
	}
	a, err := ns.LookupAccount(account)
	if err == nil {
		c.RegisterUser(&server.User{Username: key, Account: a})
	}
	return err
}

// enter lets a consumer in that has signed.
func (g *gate) enter(c server.ClientAuthentication, ns *server.Server, who consumers.Consumer) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	a, err := account(ns, who)
	if err != nil {
		return fmt.Errorf("making the account of consumer %s: %w", who.Name, err)
	}
	if owed(ns, who) {
		return turnedAway{byFlood, fmt.Errorf("consumer %s waits for too many answers, and is let in when they are less", who.Name)}
	}
	if a.NumLocalConnections() >= connectionsEach {
		return turnedAway{byCrowd, fmt.Errorf("consumer %s has %d connections, and no more may be", who.Name, connectionsEach)}
	}
	all := 0
	for _, one := range g.consumers() {
		if a, err := ns.LookupAccount(accountOf(one)); err == nil {
			all += a.NumLocalConnections()
		}
	}
	if all >= g.room()-g.ours() {
		return turnedAway{byCrowd, fmt.Errorf("consumers have %d connections together, and no more may be", all)}
	}
	c.RegisterUser(&server.User{Username: who.Key, Account: a, Permissions: permissions(who)})
	return nil
}

// ours is how many connections are kept for other processes of this program, and as many are
// for this one.
func (g *gate) ours() int { return min(ourConnections, g.most/4) }

// room is how many connections the port takes at once.
func (g *gate) room() int { return g.most - g.ours() }

// proves reports whether the client has signed what it was given with the key.
func proves(c server.ClientAuthentication, key string) error {
	public, err := nkeys.FromPublicKey(key)
	if err != nil {
		return err
	}
	sig, err := base64.RawURLEncoding.DecodeString(c.GetOpts().Sig)
	if err != nil { // clients in JavaScript
		sig, err = base64.StdEncoding.DecodeString(c.GetOpts().Sig)
	}
	if err == nil && len(c.GetNonce()) == 0 {
		err = errors.New("the server gave nothing to sign")
	}
	if err == nil {
		err = public.Verify(c.GetNonce(), sig)
	}
	if err != nil {
		return fmt.Errorf("its signature does not fit its key: %w", err)
	}
	return nil
}
