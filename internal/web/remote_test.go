package web_test

import (
	"strings"
	"testing"
)

func TestTrustedProxiesNameTheCaller(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, trusted string
		forwarded     []string
		want          string
	}{
		{"nobody is trusted", "", []string{"198.51.100.7"}, "127.0.0.1"},
		{"the proxy is trusted", "127.0.0.0/8", []string{"198.51.100.7"}, "198.51.100.7"},
		{"the proxy is trusted, the caller forges", "127.0.0.1/32", []string{"192.0.2.1, 198.51.100.7"}, "198.51.100.7"},
		{"the caller forges by a line of his own", "127.0.0.1/32", []string{"192.0.2.1", "198.51.100.7"}, "198.51.100.7"},
		{"another proxy is trusted", "10.0.0.0/8", []string{"198.51.100.7"}, "127.0.0.1"},
		{"loopback is not trusted by itself", "10.0.0.0/8", []string{"127.0.0.1"}, "127.0.0.1"},
		{"nothing was forwarded", "127.0.0.0/8", nil, "127.0.0.1"},
		{"no address", "127.0.0.0/8", []string{"x\ty"}, "127.0.0.1"},
		{"an address of version 6", "127.0.0.0/8", []string{"2001:db8::7"}, "2001:db8::7"},
		{"with a port", "127.0.0.0/8", []string{"198.51.100.7:51008"}, "198.51.100.7"},
		{"with port 0", "127.0.0.0/8", []string{"198.51.100.7:0"}, "198.51.100.7"},
		{"version 6 in brackets", "127.0.0.0/8", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"version 6 with a port", "127.0.0.0/8", []string{"[2001:db8::7]:443"}, "2001:db8::7"},
		{"version 6 whose end may be a port", "127.0.0.0/8", []string{"2001:db8::7:443"}, "2001:db8::7:443"},
		{"version 6 in capitals", "127.0.0.0/8", []string{"2001:DB8::7"}, "2001:db8::7"},
		{"with a zone", "127.0.0.0/8", []string{"[fe80::7%eth0]:443"}, "fe80::7"},
		{"version 4 in version 6", "127.0.0.0/8", []string{"[::ffff:198.51.100.7]:443"}, "198.51.100.7"},
		{"quoted", "127.0.0.0/8", []string{`"[2001:db8::7]:443"`}, "2001:db8::7"},
		{"blanks around it", "127.0.0.0/8", []string{" \t198.51.100.7:51008\t "}, "198.51.100.7"},
		{"empty elements", "127.0.0.0/8", []string{"198.51.100.7:51008, ,", ","}, "198.51.100.7"},
		{"behind proxies of every form", "127.0.0.0/8,10.0.0.0/8,fd00::/8,::ffff:192.168.0.0/112",
			[]string{"192.0.2.1", "198.51.100.7:51008, [fd00::1]:80, 10.0.0.1:80", "fd00::2, 192.168.3.4, 10.0.0.2"}, "198.51.100.7"},
		{"trusted proxies only", "127.0.0.0/8,10.0.0.0/8", []string{"10.0.0.1:80, 10.0.0.2:80"}, "10.0.0.1"},
		{"a port that there is not", "127.0.0.0/8", []string{"198.51.100.7:65536"}, "127.0.0.1"},
		{"no port after the colon", "127.0.0.0/8", []string{"198.51.100.7:"}, "127.0.0.1"},
		{"a bracket left open", "127.0.0.0/8", []string{"[2001:db8::7"}, "127.0.0.1"},
		{"a name", "127.0.0.0/8", []string{"198.51.100.7.example:80"}, "127.0.0.1"},
		{"leading zeros", "127.0.0.0/8", []string{"198.051.100.007"}, "127.0.0.1"},
		{"the proxy does not know", "127.0.0.0/8", []string{"198.51.100.7, unknown"}, "127.0.0.1"},
		{"a proxy behind it does not know", "127.0.0.0/8,10.0.0.0/8", []string{"198.51.100.7, unknown, 10.0.0.1:80"}, "10.0.0.1"},
	} {
		d := open(t, func(o *options) {
			for network := range strings.SplitSeq(tt.trusted, ",") {
				if network != "" {
					o.public.TrustedProxies = append(o.public.TrustedProxies, prefix(t, network))
				}
			}
		})
		headers := []string{"X-Real-IP", "203.0.113.9", "Forwarded", "for=203.0.113.9"}
		for _, f := range tt.forwarded {
			headers = append(headers, "X-Forwarded-For", f)
		}
		d.post(demoBody, headers...)
		if got := d.lastEvent(t).Receipt.Remote; got != tt.want {
			t.Errorf("%s: recorded remote %q, want %q", tt.name, got, tt.want)
		}
		if got := d.log.lines(t)[0]["remote"]; got != tt.want {
			t.Errorf("%s: logged remote %q, want %q", tt.name, got, tt.want)
		}
	}
}
