package natsserver

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
	"receiver/internal/natsserver/storefolder"
)

// Limits that the server does not have. A request without an answer takes some hundred bytes, for
// two minutes if it may have more than one answer; answers that a consumer does not read stay in
// memory.
const (
	maxPendingEach = 32 << 10 // requests
	maxPendingAll  = 4 * maxPendingEach
	maxQueuedEach  = 256       // requests in the queue that is shared with the owner's
	maxUnreadBytes = 128 << 20 // bytes
	filterInterval = 50 * time.Millisecond
)

// watch checks the connections until ctx is done.
func (f *connFilter) watch(ctx context.Context) {
	tick := time.NewTicker(filterInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-f.full:
		}
		f.check(f.ns.Load())
	}
}

// check ends the connections of consumers that were removed or exceed a limit, and, when all
// connections are in use, those that have not signed in.
func (f *connFilter) check(ns *server.Server) {
	f.checkMu.Lock()
	defer f.checkMu.Unlock()
	open, err := ns.Connz(&server.ConnzOptions{Username: true, Limit: 1 << 20})
	if err != nil {
		return
	}
	known := map[string]consumers.Consumer{}
	for _, one := range f.consumers() {
		known[one.Key] = one
	}
	var notSignedIn, ofConsumers []*server.ConnInfo
	owners := 0 // of other processes
	for _, c := range open.Conns {
		_, consumer := known[c.AuthorizedUser]
		switch {
		case c.AuthorizedUser == "" && c.IP != "": // those of this process have none
			notSignedIn = append(notSignedIn, c)
		case c.AuthorizedUser == "" || c.AuthorizedUser == f.owner || c.AuthorizedUser == f.uplink:
			if c.IP != "" {
				owners++
			}
		case consumer:
			ofConsumers = append(ofConsumers, c)
		default:
			_ = ns.DisconnectClientByID(c.Cid) // it may have ended by itself
		}
	}
	f.enforceLimits(ns, ofConsumers, known)
	if len(notSignedIn)+len(ofConsumers)+owners >= f.maxConnections()-1 {
		f.evict(ns, notSignedIn)
	}
}

// evict ends the older half of the connections that have not signed in: a client with credentials
// needs milliseconds to send them.
func (f *connFilter) evict(ns *server.Server, notSignedIn []*server.ConnInfo) {
	slices.SortFunc(notSignedIn, func(a, b *server.ConnInfo) int { return cmp.Compare(a.Cid, b.Cid) })
	for _, c := range notSignedIn[:(len(notSignedIn)+1)/2] {
		f.disconnect(ns, evicted, c, errors.New("it had not signed in, and no connection was free for others"))
	}
}

func (f *connFilter) disconnect(ns *server.Server, why reason, c *server.ConnInfo, err error) {
	if ns.DisconnectClientByID(c.Cid) == nil {
		f.refuse(why, address(net.JoinHostPort(c.IP, strconv.Itoa(c.Port))), err)
	}
}

type address string

func (a address) String() string { return string(a) }

// enforceLimits ends the connections of consumers that send requests faster than they can be
// answered, and, where too many bytes wait to be read, those of the slowest readers.
func (f *connFilter) enforceLimits(ns *server.Server, ofConsumers []*server.ConnInfo, known map[string]consumers.Consumer) {
	pending := 0
	for _, c := range ofConsumers {
		pending += c.Pending
	}
	slices.SortFunc(ofConsumers, func(a, b *server.ConnInfo) int { return cmp.Compare(b.Pending, a.Pending) })
	for _, c := range ofConsumers {
		if pending <= maxUnreadBytes {
			break
		}
		pending -= c.Pending
		f.disconnect(ns, tooManyRequests, c, fmt.Errorf("consumer %s does not read the %d bytes that wait for it", known[c.AuthorizedUser].Name, c.Pending))
	}
	// Counting takes time in proportion to the count, so only a consumer that sent much is counted.
	full := pendingAnswers(ns) > maxPendingEach
	sent, fast := map[uint64]int64{}, map[string]bool{}
	for _, c := range ofConsumers {
		sent[c.Cid] = c.InMsgs
		if full || c.InMsgs-f.sent[c.Cid] > maxQueuedEach/2 {
			fast[c.AuthorizedUser] = true
		}
	}
	f.sent = sent
	for key := range fast {
		if !overPending(ns, known[key]) {
			delete(fast, key)
		}
	}
	for _, c := range ofConsumers {
		if fast[c.AuthorizedUser] {
			f.disconnect(ns, tooManyRequests, c, fmt.Errorf("consumer %s sends requests faster than they are answered", known[c.AuthorizedUser].Name))
		}
	}
}

// pendingAnswers is how many answers all consumers wait for.
func pendingAnswers(ns *server.Server) int {
	owner, err := ns.LookupAccount(storefolder.OwnerAccount)
	if err != nil {
		return 0
	}
	return owner.NumPendingAllResponses()
}

// overPending reports whether a consumer waits for too many answers.
func overPending(ns *server.Server, consumer consumers.Consumer) bool {
	owner, err := ns.LookupAccount(storefolder.OwnerAccount)
	if err != nil {
		return false
	}
	all, most := pendingAnswers(ns), maxPendingEach
	if all > maxPendingAll {
		most = maxPendingAll / consumers.Most
	}
	if all <= maxQueuedEach {
		return false // neither this consumer nor another one can be over its limit
	}
	total, queued := 0, 0
	for _, r := range reachable(consumer) {
		n := owner.NumPendingResponses(r.at(consumer))
		total += n
		if r.queued() {
			queued += n
		}
	}
	return total > most || queued > maxQueuedEach
}

// consumerList is the list of consumers in the folder. It is read again at once when a consumer was
// added or removed, and within a second otherwise.
type consumerList struct {
	mu       sync.Mutex
	all      []consumers.Consumer
	read     time.Time
	modified time.Time // when the folder was changed last
	logged   string    // the error that was logged last
}

// modTimePrecision is the time after which a change of a folder shows in its modification time for
// certain.
const modTimePrecision = time.Second

// consumers returns the consumers that may connect.
func (f *connFilter) consumers() []consumers.Consumer {
	r := &f.consumerList
	r.mu.Lock()
	defer r.mu.Unlock()
	var of time.Time
	if info, err := os.Stat(consumers.Folder(f.folder)); err == nil {
		of = info.ModTime()
	}
	now := time.Now()
	if of.Equal(r.modified) && r.read.Sub(of) > modTimePrecision && now.Sub(r.read) < modTimePrecision {
		return r.all
	}
	all, broken := consumers.List(f.folder)
	r.all, r.read, r.modified = all, now, of
	said := ""
	if broken != nil {
		said = broken.Error()
	}
	if said != "" && said != r.logged {
		f.log.Error().Err(broken).Msg("the file of a consumer cannot be used; the consumer cannot connect")
	}
	r.logged = said
	return r.all
}

// Refusals are the reasons for which the NATS port refuses or disconnects a client.
func Refusals() []string { return reasonNames[:] }

// Refused is how many clients the NATS port refused or disconnected for one of Refusals.
func (s *Server) Refused(why string) uint64 {
	if i := slices.Index(reasonNames[:], why); i >= 0 {
		return s.filter.refused[i].Load()
	}
	return 0
}
