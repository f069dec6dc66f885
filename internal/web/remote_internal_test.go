package web

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"
)

// For any forwarded header, the caller is one address, never one that only an untrusted hop named,
// and the same whether proxies add ports or not.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{
		"198.51.100.7", "198.51.100.7:51008, 10.0.0.1", "[2001:db8::7]:443,10.0.0.1:80", `"[fe80::1%eth0]:1"`, "unknown, 10.0.0.1",
		"::ffff:10.0.0.1, 192.0.2.1", ",,\t, x", "[1.2.3.4]:", "1.2.3.4:99999", "2001:db8::7:443",
	} {
		f.Add(seed, "10.0.0.9:1")
	}
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	who := extractor([]netip.Prefix{trusted}, false)
	f.Fuzz(func(t *testing.T, forwarded, remote string) {
		ask := func(lines ...string) string {
			return who(&http.Request{RemoteAddr: remote, Header: http.Header{echo.HeaderXForwardedFor: lines}})
		}
		direct, got := ask(), ask(forwarded)
		if from, ok := readHop(direct); got != direct && (!ok || !trusted.Contains(from)) {
			t.Fatalf("%q from %q is believed: %q", forwarded, remote, got)
		}
		if got == direct {
			return
		}
		a, err := netip.ParseAddr(got)
		if err != nil || a.Zone() != "" || a.Is4In6() || a.String() != got {
			t.Fatalf("%q from %q is %q, want an address in its own form", forwarded, remote, got)
		}
		for _, form := range []string{got, netip.AddrPortFrom(a, 51008).String(), "[" + got + "]", `"` + got + `"`} {
			if again := ask(form); again != got {
				t.Fatalf("%q is %q, want %q", form, again, got)
			}
			if trusted.Contains(a) {
				continue // what stands in front of a trusted one is read on
			}
			if again := ask("192.0.2.9:1, " + form); again != got {
				t.Fatalf("%q behind another is %q, want %q", form, again, got)
			}
		}
	})
}
