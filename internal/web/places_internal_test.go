package web

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Of many addresses with one connection each, the one that has waited longest gives way.
func TestLongestWaitingConnectionGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(64)
		var wait []*servedConn // the longest first
		request := func(c *servedConn) {
			p.turn(c, atWork)
			p.turn(c, idle)
			<-time.After(time.Millisecond) // of the clock of the bubble
		}
		for i := range 4 * p.all {
			c := &servedConn{Conn: nowhere{}, by: p.from(&net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(i))}, nil)}
			if !p.free(c.by) {
				t.Fatalf("connection %d found no place", i)
			}
			if p.serve(c); len(wait) == p.all {
				if !wait[0].evicted {
					t.Fatalf("for connection %d another one gave way than the first", i)
				}
				wait = wait[1:]
			}
			request(c)
			wait = append(wait, c)
			at := i * 7 % len(wait)
			again := wait[at]
			request(again)
			wait = append(slices.Delete(wait, at, at+1), again)
		}
	})
}

// For any sequence of connections, no caller has more than its share, a caller with few places gets
// one from the caller with the most, and nothing is kept of callers that have gone.
func TestPlacesAreKept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := newPlaces(2 + r.IntN(60))
		kinds := 1 + r.IntN(40)
		var all []*servedConn // open ones
		drop := func(i int) {
			c := all[i]
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
			if c.evicted {
				p.leaving--
				return
			}
			p.leave(c)
			p.forget(c.by)
		}
		for range 5000 {
			switch n := r.IntN(10); {
			case n < 5:
				var from net.Addr = &net.TCPAddr{IP: net.IPv4(10, 0, 0, byte(r.IntN(kinds)))}
				if r.IntN(10) == 0 {
					from = &net.UnixAddr{}
				}
				c := &servedConn{Conn: nowhere{}, by: p.from(from, nil)}
				few := !p.full(c.by) && p.most() >= c.by.open+2
				had, left := c.by.open, p.leaving
				switch {
				case c.by.waiting.Len() == 0 && p.free(c.by):
					p.serve(c)
					all = append(all, c)
					if few && c.by.open != had+1 {
						t.Fatal("its own connection had to give way")
					}
				case few && c.by.waiting.Len() == 0 && left < p.lobby:
					t.Fatalf("seed %d: one with %d places got none, another has %d", seed, had, p.most())
				case !p.wait(c):
					if first := p.renew(c); first != nil {
						all = append(all, first)
					}
					p.forget(c.by)
				}

			case n < 7 && len(all) > 0:
				drop(r.IntN(len(all)))
			case len(all) > 0:
				if c := all[r.IntN(len(all))]; c.at != nil {
					p.turn(c, []int{idle, atWork}[r.IntN(2)])
				}
			}
			if c := p.next(); c != nil {
				all = append(all, c)
			}
			check(t, &p)
		}
		for p.waiting > 0 || len(all) > 0 {
			if len(all) > 0 {
				drop(0)
			}
			if c := p.next(); c != nil {
				all = append(all, c)
			}
			check(t, &p)
		}
		if len(p.callers) != 0 || len(p.ranks) != 0 || p.taken != 0 || p.leaving != 0 || p.queue.Len() != 0 {
			t.Fatalf("seed %d: something is left: %+v", seed, p)
		}
	}
}

// check holds places to what they promise.
func check(t *testing.T, p *places) {
	t.Helper()
	taken, waiting := p.trusted.open, p.trusted.waiting.Len()
	for _, c := range p.callers {
		taken += c.open
		waiting += c.waiting.Len()
		if c.open > p.share || c.open+c.waiting.Len() == 0 || p.ranks[c.rank] != c || c.open > p.ranks[0].open {
			t.Fatalf("a caller has %d of %d, %d wait, the most is %d", c.open, p.share, c.waiting.Len(), p.ranks[0].open)
		}
	}
	if taken != p.taken || taken > p.all || waiting != p.waiting || waiting > p.lobby || len(p.callers) != len(p.ranks) {
		t.Fatalf("%d places of %d taken, %d waiting of %d, %d and %d counted, %d callers of %d", taken, p.all, waiting, p.lobby, p.taken, p.waiting, len(p.callers), len(p.ranks))
	}
}

type nowhere struct{ net.Conn }

func (nowhere) Close() error { return nil }
