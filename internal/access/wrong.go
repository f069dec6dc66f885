package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// wrongAtOnce and wrongPause are how many wrong tokens an address may send at once, and
	// how soon one more.
	wrongAtOnce = 10
	wrongPause  = time.Second
	// mostAddresses bounds the table; addresses beyond share one place.
	mostAddresses = 1024
)

// wrong counts wrong tokens by address.
type wrong struct {
	now    func() time.Time
	mu     sync.Mutex
	by     map[string]*rate.Limiter
	others *rate.Limiter // of all addresses that found no room
	swept  time.Time
}

func newWrong(now func() time.Time) *wrong {
	return &wrong{now: now, by: map[string]*rate.Limiter{}, others: newWrongLimiter()}
}

func newWrongLimiter() *rate.Limiter { return rate.NewLimiter(rate.Every(wrongPause), wrongAtOnce) }

// exhausted reports whether an address has sent too many.
func (w *wrong) exhausted(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.by[block(address)]
	if l == nil && len(w.by) >= mostAddresses {
		l = w.others
	}
	return l != nil && l.TokensAt(w.now()) < 1
}

// add counts one, and reports whether it was not too many.
func (w *wrong) add(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, key := w.now(), block(address)
	l := w.by[key]
	if l == nil {
		w.sweep(now)
		if l = w.others; len(w.by) < mostAddresses {
			l = newWrongLimiter()
			w.by[key] = l
		}
	}
	return l.AllowN(now, 1)
}

// sweep forgets, once a second at most, those that have their whole share again.
func (w *wrong) sweep(now time.Time) {
	if len(w.by) < mostAddresses || now.Sub(w.swept) < wrongPause {
		return
	}
	w.swept = now
	for key, l := range w.by {
		if l.TokensAt(now) >= wrongAtOnce {
			delete(w.by, key)
		}
	}
}

// block returns the network of an address that one host may own: for IPv6 its /64.
func block(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}
