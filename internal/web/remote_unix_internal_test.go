package web

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestCallerThroughAUnixSocket(t *testing.T) {
	t.Parallel()
	proxy := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tt := range []struct {
		trusted         []netip.Prefix
		unix            bool
		from, says, who string
	}{
		{nil, false, "unix", "192.0.2.1", "unix"},
		{proxy, false, "unix", "192.0.2.1", "unix"},
		{nil, true, "unix", "", "unix"},
		{nil, true, "unix", "rubbish", "unix"},
		{nil, true, "unix", "198.51.100.1, 192.0.2.1", "192.0.2.1"},
		{proxy, true, "unix", "192.0.2.1, 10.0.0.1", "192.0.2.1"},
		{nil, true, "192.0.2.7:1", "192.0.2.1", "192.0.2.7"},
		{proxy, true, "10.0.0.7:1", "192.0.2.1", "192.0.2.1"},
	} {
		r := &http.Request{RemoteAddr: tt.from, Header: http.Header{"X-Forwarded-For": {tt.says}}}
		if got := extractor(tt.trusted, tt.unix)(r); got != tt.who {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
