package docs_test

import (
	"regexp"
	"strconv"
	"testing"
)

// TestRecipesFitTheLimits holds the numbers of the proxies' recipes against the receiver's
// defaults: the proxy closes idle connections first, and leaves it to the receiver to refuse what
// is too large.
func TestRecipesFitTheLimits(t *testing.T) {
	config := read(t, "../config.yaml")
	number := func(name, text, pattern string) int {
		t.Helper()
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(found) != 1 {
			t.Fatalf("%s has %q %d times, want once", name, pattern, len(found))
		}
		n, err := strconv.Atoi(found[0][1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	idle := number("config.yaml", config, `\n  idle_timeout: (\d+)s\n`)
	write := number("config.yaml", config, `\n  write_timeout: (\d+)s\n`)
	shutdown := number("config.yaml", config, `\n  shutdown_timeout: (\d+)s\n`)
	body := number("config.yaml", config, `\n  body: (\d+)MiB\n`)
	header := number("config.yaml", config, `\n  header: (\d+)KiB\n`)
	for _, tt := range []struct {
		recipe, pattern string
		below, above    int
	}{
		{"nginx.conf", `keepalive_timeout (\d+)s;`, idle, 0},
		{"nginx.conf", `client_max_body_size (\d+)m;`, 64, body},
		{"nginx.conf", `large_client_header_buffers 4 (\d+)k;`, 1024, header},
		{"nginx.conf", `proxy_read_timeout (\d+)s;`, 600, write},
		{"Caddyfile", `keepalive (\d+)s`, idle, 0},
		{"Caddyfile", `max_size (\d+)MiB`, 64, body},
		{"Caddyfile", `max_header_size (\d+)KB`, 1024, header},
		{"haproxy.cfg", `pool-purge-delay (\d+)s`, idle / 5, 0},
		{"haproxy.cfg", `req.body_size gt (\d+) `, 64 << 20, body << 20},
		{"haproxy.cfg", `tune.bufsize (\d+)`, 1 << 20, header << 10},
		{"haproxy.cfg", `timeout server (\d+)s`, 600, write},
		{"traefik-routes.yaml", `idleConnTimeout: (\d+)s`, idle, 0},
		{"traefik-routes.yaml", `responseHeaderTimeout: (\d+)s`, 600, write},
		{"alb.tf", `idle_timeout = (\d+)`, idle, write},
		{"alb.tf", `deregistration_delay = (\d+)`, 3600, shutdown},
	} {
		n := number(tt.recipe, read(t, "../deploy/proxy/"+tt.recipe), tt.pattern)
		if n >= tt.below || n <= tt.above {
			t.Errorf("deploy/proxy/%s: %s is %d, want above %d and below %d", tt.recipe, tt.pattern, n, tt.above, tt.below)
		}
	}
}
