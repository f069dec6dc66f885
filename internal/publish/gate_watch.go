package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/consumers"
)

// What the server does not bound by itself. A request that is not answered yet takes some
// hundred bytes, for two minutes where it may have more than one answer; what a consumer does
// not read waits for it.
const (
	mostOwedEach   = 32 << 10 // requests
	mostOwedAll    = 4 * mostOwedEach
	mostQueuedEach = 256       // requests in the queue that ours are in, too
	mostPendingAll = 128 << 20 // bytes
	gateTick       = 50 * time.Millisecond
)

// watch looks after the connections until ctx is done.
func (g *gate) watch(ctx context.Context) {
	tick := time.NewTicker(gateTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.crowded:
		}
		g.look(g.ns.Load())
	}
}

// look ends the connections of consumers that are no more or take too much, and of
// those who were to sign in first when there is no room for others.
func (g *gate) look(ns *server.Server) {
	g.looking.Lock()
	defer g.looking.Unlock()
	open, err := ns.Connz(&server.ConnzOptions{Username: true, Limit: 1 << 20})
	if err != nil {
		return
	}
	known := map[string]consumers.Consumer{}
	for _, one := range g.consumers() {
		known[one.Key] = one
	}
	var strangers, theirs []*server.ConnInfo
	owners := 0 // of other processes
	for _, c := range open.Conns {
		_, consumer := known[c.AuthorizedUser]
		switch {
		case c.AuthorizedUser == "" && c.IP != "": // those of this process have none
			strangers = append(strangers, c)
		case c.AuthorizedUser == "" || c.AuthorizedUser == g.owner || c.AuthorizedUser == g.uplink:
			if c.IP != "" {
				owners++
			}
		case consumer:
			theirs = append(theirs, c)
		default:
			_ = ns.DisconnectClientByID(c.Cid) // it may have gone by itself
		}
	}
	g.relieve(ns, theirs, known)
	if len(strangers)+len(theirs)+owners >= g.room()-1 {
		g.makeRoom(ns, strangers)
	}
}

// makeRoom ends the older half of the connections that have not signed in: whoever has
// credentials takes milliseconds to show them.
func (g *gate) makeRoom(ns *server.Server, strangers []*server.ConnInfo) {
	slices.SortFunc(strangers, func(a, b *server.ConnInfo) int { return cmp.Compare(a.Cid, b.Cid) })
	for _, c := range strangers[:(len(strangers)+1)/2] {
		g.end(ns, byRoom, c, errors.New("it had not signed in, and there was no room for others"))
	}
}

func (g *gate) end(ns *server.Server, why reason, c *server.ConnInfo, err error) {
	if ns.DisconnectClientByID(c.Cid) == nil {
		g.refuse(why, address(net.JoinHostPort(c.IP, strconv.Itoa(c.Port))), err)
	}
}

type address string

func (a address) String() string { return string(a) }

// relieve ends the connections of consumers that ask faster than it can be answered, and those
// that read slowest, where what waits for them is too much.
func (g *gate) relieve(ns *server.Server, theirs []*server.ConnInfo, known map[string]consumers.Consumer) {
	pending := 0
	for _, c := range theirs {
		pending += c.Pending
	}
	slices.SortFunc(theirs, func(a, b *server.ConnInfo) int { return cmp.Compare(b.Pending, a.Pending) })
	for _, c := range theirs {
		if pending <= mostPendingAll {
			break
		}
		pending -= c.Pending
		g.end(ns, byFlood, c, fmt.Errorf("consumer %s does not read the %d bytes that wait for it", known[c.AuthorizedUser].Name, c.Pending))
	}
	// To count costs as much as there is to count, so who sends little is looked at when it tells.
	full := owing(ns) > mostOwedEach
	sent, fast := map[uint64]int64{}, map[string]bool{}
	for _, c := range theirs {
		sent[c.Cid] = c.InMsgs
		if full || c.InMsgs-g.sent[c.Cid] > mostQueuedEach/2 {
			fast[c.AuthorizedUser] = true
		}
	}
	g.sent = sent
	for key := range fast {
		if !owed(ns, known[key]) {
			delete(fast, key)
		}
	}
	for _, c := range theirs {
		if fast[c.AuthorizedUser] {
			g.end(ns, byFlood, c, fmt.Errorf("consumer %s asks faster than it is answered", known[c.AuthorizedUser].Name))
		}
	}
}

// owing is how many answers all wait for.
func owing(ns *server.Server) int {
	owner, err := ns.LookupAccount(ownerAccount)
	if err != nil {
		return 0
	}
	return owner.NumPendingAllResponses()
}

// owed reports whether a consumer waits for too many answers.
func owed(ns *server.Server, who consumers.Consumer) bool {
	owner, err := ns.LookupAccount(ownerAccount)
	if err != nil {
		return false
	}
	all, most := owing(ns), mostOwedEach
	if all > mostOwedAll {
		most = mostOwedAll / consumers.Most
	}
	if all <= mostQueuedEach {
		return false // for it and all others
	}
	total, queued := 0, 0
	for _, r := range reachable(who) {
		n := owner.NumPendingResponses(r.at(who))
		total += n
		if r.queued() {
			queued += n
		}
	}
	return total > most || queued > mostQueuedEach
}

// register is what the folder says of consumers, read again when that may have changed: at
// once when one was added or removed, and within a second otherwise.
type register struct {
	mu     sync.Mutex
	all    []consumers.Consumer
	read   time.Time
	of     time.Time // when the folder was changed last
	broken string    // what was said of it
}

// settled is after what time a change of a folder shows in its time for certain.
const settled = time.Second

// consumers returns who may come in besides us.
func (g *gate) consumers() []consumers.Consumer {
	r := &g.register
	r.mu.Lock()
	defer r.mu.Unlock()
	var of time.Time
	if info, err := os.Stat(consumers.Folder(g.folder)); err == nil {
		of = info.ModTime()
	}
	now := time.Now()
	if of.Equal(r.of) && r.read.Sub(of) > settled && now.Sub(r.read) < settled {
		return r.all
	}
	all, broken := consumers.Readable(g.folder)
	r.all, r.read, r.of = all, now, of
	said := ""
	if broken != nil {
		said = broken.Error()
	}
	if said != "" && said != r.broken {
		g.log.Error().Err(broken).Msg("a consumer is not let in")
	}
	r.broken = said
	return r.all
}

// Refusals are the words for why the NATS port refuses or disconnects a client.
func Refusals() []string { return refusals[:] }

// Refused is how many clients the NATS port refused or disconnected for a reason, one of Refusals.
func (s *Server) Refused(why string) uint64 {
	if i := slices.Index(refusals[:], why); i >= 0 {
		return s.gate.refused[i].Load()
	}
	return 0
}
