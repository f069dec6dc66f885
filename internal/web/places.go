package web

import (
	"container/heap"
	"container/list"
	"math"
	"net"
	"net/netip"
	"time"
)

// places says which connections are served. A caller is an IPv4 address or an IPv6 network of
// 64 bits; all trusted proxies together, and Unix sockets, are one that has no share.
//
// If no place is free, the caller with the most places gives one to a caller that has at least two
// fewer. So one address, or a few, keep no other out, whatever their connections do, and a single
// caller behind one address can still use most of the places.
type places struct {
	all   int // places
	share int // of them that one caller takes
	lobby int // connections that may wait for one

	taken, waiting int
	leaving        int    // connections that were closed, and whose requests have not ended
	closed         uint64 // to make a place
	refused        uint64
	callers        map[netip.Prefix]*caller
	ranks          ranks
	trusted        caller
	queue          list.List // callers of which connections wait
}

// caller is the origin of connections. It is forgotten with its last one.
type caller struct {
	network netip.Prefix
	open    int                   // places that it has
	lines   [atWork + 1]list.List // connections that are served, by what they do; oldest first
	waiting list.List             // connections without a place
	rank    int                   // its place in ranks
	queued  *list.Element         // in places.queue
}

// The states of a served connection.
const (
	idle   = iota // it waits between two requests
	fresh         // it has sent no request so far, or half a handshake or header
	atWork        // its request is coming, or is being answered
)

// freshTime is how long a connection has for its request before it may be closed for another
// one, unless its caller holds the most.
const freshTime = time.Second

// leastTime is how long it has where all of a caller's say nothing, however fast more come.
const leastTime = 100 * time.Millisecond

// newPlaces shares out most connections, at least two.
func newPlaces(most int) places {
	most = max(most, 2)
	p := places{lobby: max(most/8, 1), callers: map[netip.Prefix]*caller{}}
	p.all = most - p.lobby
	p.share = max(p.all*3/4, 1)
	p.trusted.rank = -1
	return p
}

// from returns the caller at an address.
func (p *places) from(a net.Addr, trusted []netip.Prefix) *caller {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return &p.trusted
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if among(trusted, addr) {
		return &p.trusted
	}
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // the length fits
	c := p.callers[network]
	if c == nil {
		c = &caller{network: network}
		p.callers[network] = c
		heap.Push(&p.ranks, c)
	}
	return c
}

// forget drops a caller that has no connection any more.
func (p *places) forget(c *caller) {
	if c != &p.trusted && c.open == 0 && c.waiting.Len() == 0 {
		heap.Remove(&p.ranks, c.rank)
		delete(p.callers, c.network)
	}
}

// full reports whether a caller has all the places that it may have.
func (p *places) full(c *caller) bool { return c != &p.trusted && c.open >= p.share }

// few reports whether a caller has so few places that the one that holds the most gives way.
func (p *places) few(c *caller) bool { return c == &p.trusted || p.most() >= c.open+2 }

// free makes sure that there is a place for a caller, and reports whether there is.
func (p *places) free(c *caller) bool {
	if p.taken < p.all && !p.full(c) {
		return true
	}
	t := p.yields(c)
	if t != nil {
		p.evict(t)
		if t.by != c {
			p.forget(t.by)
		}
	}
	return t != nil
}

// yields returns the connection to close for another one of a caller; nil if there is none.
func (p *places) yields(c *caller) *servedConn {
	if p.full(c) {
		return c.silent()
	}
	if p.few(c) && len(p.ranks) > 0 {
		most := p.ranks[0]
		if t := most.oldest(idle); t != nil {
			return t
		}
		if t := most.oldest(fresh); t != nil {
			return t
		}
		// A request that is being answered goes on without its connection, and takes memory.
		if t := most.oldest(atWork); t != nil && p.leaving < p.lobby {
			return t
		}
	}
	if t := c.silent(); t != nil {
		return t
	}
	if p.most() > c.open {
		if t := p.ranks[0].silent(); t != nil {
			return t
		}
	}
	return p.trusted.oldest(idle)
}

// oldest returns the connection of a caller that has done something for longest; nil if none does.
func (c *caller) oldest(what int) *servedConn {
	if first := c.lines[what].Front(); first != nil {
		return first.Value.(*servedConn)
	}
	return nil
}

// silent returns a connection that waits for a request and had time to send one.
func (c *caller) silent() *servedConn {
	if t := c.oldest(idle); t != nil {
		return t
	}
	if t := c.oldest(fresh); t != nil && time.Since(t.since) >= freshTime {
		return t
	}
	return nil
}

// evict takes the place of a connection away and closes it.
func (p *places) evict(t *servedConn) {
	p.leave(t)
	t.evicted = true
	p.leaving++
	p.closed++
	_ = t.Conn.Close() // the server closes it too
}

// serve gives a connection a place.
func (p *places) serve(t *servedConn) {
	p.taken++
	t.by.open++
	p.turn(t, fresh)
}

// turn notes what a served connection does now.
func (p *places) turn(t *servedConn, what int) {
	if t.at != nil {
		t.by.lines[t.does].Remove(t.at)
	}
	t.since, t.does = time.Now(), what
	t.at = t.by.lines[what].PushBack(t)
	p.rank(t.by)
}

// leave takes a connection's place away.
func (p *places) leave(t *servedConn) {
	t.by.lines[t.does].Remove(t.at)
	t.at = nil
	t.by.open--
	p.taken--
	p.rank(t.by)
}

// wait puts a connection into the lobby, or reports that there is no room. Half of it is for
// callers that have few places, an eighth of that for each.
func (p *places) wait(t *servedConn) bool {
	room := p.lobby
	if !p.few(t.by) || t.by.waiting.Len() > p.lobby/16 {
		room = (room + 1) / 2
	}
	if p.waiting >= room {
		return false
	}
	p.enqueue(t)
	return true
}

func (p *places) enqueue(t *servedConn) {
	p.waiting++
	t.by.waiting.PushBack(t)
	if t.by.queued == nil {
		t.by.queued = p.queue.PushBack(t.by)
	}
}

// renew takes a connection that finds no room in the lobby, in place of one of its caller that
// has sent no request, and returns the one to serve: of several the first that came. Nil means that
// it is refused.
func (p *places) renew(t *servedConn) *servedConn {
	silent := t.by.oldest(fresh)
	if silent == nil {
		p.refused++
		return nil
	}
	p.evict(silent)
	if t.by.waiting.Len() == 0 {
		p.serve(t)
		return t
	}
	first := p.admit(t.by)
	p.enqueue(t)
	return first
}

// next serves a connection that waits, if there is a place for it now. Callers take turns.
func (p *places) next() *servedConn {
	for e := p.queue.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*caller); p.free(c) {
			return p.admit(c)
		}
	}
	return nil
}

// admit serves the connection of a caller that has waited longest.
func (p *places) admit(c *caller) *servedConn {
	t := c.waiting.Remove(c.waiting.Front()).(*servedConn)
	p.waiting--
	if c.waiting.Len() > 0 {
		p.queue.MoveToBack(c.queued)
	} else {
		p.queue.Remove(c.queued)
		c.queued = nil
	}
	p.serve(t)
	return t
}

// most returns how many places the caller has that has the most, trusted proxies left out.
func (p *places) most() int {
	if len(p.ranks) == 0 {
		return 0
	}
	return p.ranks[0].open
}

func (p *places) rank(c *caller) {
	if c != &p.trusted {
		heap.Fix(&p.ranks, c.rank)
	}
}

// ranks is a heap of callers: first the one that holds the most and, of several, the one with the
// connection that has waited longest for a request.
type ranks []*caller

func (r ranks) Len() int { return len(r) }

func (r ranks) Less(i, j int) bool {
	if r[i].open != r[j].open {
		return r[i].open > r[j].open
	}
	return r[i].ripe() < r[j].ripe()
}

func (r ranks) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].rank, r[j].rank = i, j
}

// Push and Pop implement heap.Interface.
func (r *ranks) Push(c any) {
	c.(*caller).rank = len(*r)
	*r = append(*r, c.(*caller))
}

func (r *ranks) Pop() any {
	last := len(*r) - 1
	c := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return c
}

// ripe orders callers by when a connection of theirs may be closed.
func (c *caller) ripe() int64 {
	if t := c.oldest(idle); t != nil {
		return t.since.UnixNano()
	}
	if t := c.oldest(fresh); t != nil {
		return t.since.Add(freshTime).UnixNano()
	}
	return math.MaxInt64
}
