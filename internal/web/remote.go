package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// extractor returns a func that names the caller: the peer of the connection or, if that is a
// trusted proxy, the address in X-Forwarded-For. That header is read from its end, as far as the
// proxies named there are trusted too and addresses can be parsed: the caller may have invented
// everything before the first other one. Other headers, Forwarded too, are ignored. The address of
// clients of a Unix socket is "unix".
func extractor(trusted []netip.Prefix, trustUnix bool) echo.IPExtractor {
	direct := func(r *http.Request) string {
		if r.RemoteAddr == unix {
			return unix
		}
		return addressOnly(r)
	}
	if len(trusted) == 0 && !trustUnix {
		return direct
	}
	trusted = unmapped(trusted)
	return func(r *http.Request) string {
		who := direct(r)
		hop, ok := readHop(who)
		if who == unix && !trustUnix || who != unix && (!ok || !among(trusted, hop)) {
			return who
		}
		if ok {
			who = hop.String()
		}
		lines := r.Header[echo.HeaderXForwardedFor]
		for i := len(lines) - 1; i >= 0; i-- {
			for rest := lines[i]; rest != ""; {
				var text string
				if rest, text = cutLast(rest); text == "" {
					continue // RFC 9110, section 5.6.1.2: an empty element means nothing
				}
				next, ok := readHop(text)
				if !ok {
					return who
				}
				if hop, who = next, next.String(); !among(trusted, hop) {
					return who
				}
			}
		}
		return who
	}
}

// unmapped returns networks such that addresses are compared as those of version 4.
func unmapped(networks []netip.Prefix) []netip.Prefix {
	networks = slices.Clone(networks)
	for i, p := range networks {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			networks[i] = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
	}
	return networks
}

// unix is what Unix sockets say their callers are: they have no address.
const unix = "unix"

var addressOnly = echo.ExtractIPDirect()

// cutLast returns a list without its last element, and that element.
func cutLast(list string) (rest, last string) {
	comma := strings.LastIndexByte(list, ',')
	return list[:max(comma, 0)], strings.Trim(list[comma+1:], " \t")
}

func among(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// readHop reads an address as proxies write it: 192.0.2.1, 192.0.2.1:51008, 2001:db8::1,
// [2001:db8::1] and [2001:db8::1]:443, quoted or not. Ports and zones are left out: later they say
// nothing about the origin of a callback.
func readHop(text string) (netip.Addr, bool) {
	if inner, ok := between(text, `"`, `"`); ok {
		text = inner
	}
	bare := text
	if inner, ok := between(text, "[", "]"); ok {
		bare = inner
	}
	a, err := netip.ParseAddr(bare)
	if err != nil {
		var both netip.AddrPort
		both, err = netip.ParseAddrPort(text)
		a = both.Addr()
	}
	return a.Unmap().WithZone(""), err == nil
}

// between returns the text between two others, if s begins and ends with them.
func between(s, before, after string) (string, bool) {
	inner, begins := strings.CutPrefix(s, before)
	inner, ends := strings.CutSuffix(inner, after)
	return inner, begins && ends
}
