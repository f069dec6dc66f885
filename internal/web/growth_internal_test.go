package web

import (
	"net/http"
	"net/netip"
	"testing"

	"receiver/internal/growth"
)

// The headers of strangers.
func TestHeadersGrow(t *testing.T) {
	shapes := growth.Bytes()
	shapes["hops"] = growth.Repeat("10.0.0.1, ")
	shapes["hops in brackets"] = growth.Repeat(`"[::1]:1",`)
	who := extractor([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, false)
	growth.Linear(t, 16<<10, shapes, func(s string) {
		r := &http.Request{Method: http.MethodPost, RemoteAddr: "10.0.0.1:1", Header: http.Header{
			"X-Forwarded-For": {s}, "Content-Type": {s}, "X-Token": {s}, "User-Agent": {s},
		}}
		_ = who(r)
		_ = headersOf(r, "").String()
		_ = headersOf(r, "0123456789abcdef0123").String()
	})
}
