//go:build e2e

package main_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// lan is a network of its own: hosts in network namespaces, and a router between them, from
// which packets can be made to vanish without a word. The test itself is one of its hosts.
// Nothing of it outlives the test, however that ends: namespaces and the cables between
// them go with the process that is in each.
type lan struct {
	t      *testing.T
	prefix string // of the addresses
	router *host
	test   *host
	hosts  []*host
}

// host is a network namespace with one address; the test's own has no process here.
type host struct {
	addr string
	pid  string
}

// newLAN makes a network with so many hosts beside the test; it needs root, iproute2 and
// util-linux.
func newLAN(t *testing.T, hosts int) *lan {
	t.Helper()
	asRoot(t, "a network of its own, of namespaces,")
	for _, needed := range []string{"ip", "nsenter", "unshare"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skipf("network namespaces take %s (Debian: apt-get install iproute2 util-linux): %v", needed, err)
		}
	}
	random := make([]byte, 2)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	// 198.18.0.0/15 is reserved for measuring networks: no host has such an address.
	l := &lan{t: t, prefix: fmt.Sprintf("198.%d.%d.", 18+random[0]%2, random[1])}
	l.router = &host{addr: l.prefix + "1", pid: l.namespace()}
	l.router.do(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	l.test = &host{addr: l.prefix + "2"}
	l.plug(l.test)
	for i := range hosts {
		h := &host{addr: fmt.Sprint(l.prefix, 10+i), pid: l.namespace()}
		h.do(t, "ip", "link", "set", "lo", "up")
		l.plug(h)
		l.hosts = append(l.hosts, h)
	}
	return l
}

// namespace makes one, and returns the process that holds it: it ends when the test's end
// of its input does.
func (l *lan) namespace() (pid string) {
	l.t.Helper()
	holder := exec.CommandContext(l.t.Context(), "unshare", "--net", "sh", "-c", "echo; exec cat")
	in, err := holder.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		l.t.Skipf("a network namespace cannot be made here: %v", err)
	}
	l.t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait()
	})
	if n, _ := out.Read(make([]byte, 1)); n != 1 { // then it is inside
		l.t.Skip("a network namespace cannot be made here")
	}
	return fmt.Sprint(holder.Process.Pid)
}

// plug lays a cable from a host to the router.
func (l *lan) plug(h *host) {
	l.t.Helper()
	last := h.addr[strings.LastIndexByte(h.addr, '.')+1:]
	port, cable := "p"+last, "eth0"
	lay := []string{"ip", "link", "add", port, "netns", l.router.pid, "type", "veth", "peer", "name"}
	if h.pid == "" {
		cable = "rcv" + l.router.pid
		lay = append(lay, cable)
	} else {
		lay = append(lay, cable, "netns", h.pid)
	}
	here := &host{}
	here.do(l.t, lay...)
	for _, at := range []struct {
		end          *host
		device, addr string
		to           string
	}{{l.router, port, l.router.addr, h.addr}, {h, cable, h.addr, l.router.addr}} {
		at.end.do(l.t, "ip", "addr", "add", at.addr+"/32", "dev", at.device)
		at.end.do(l.t, "ip", "link", "set", at.device, "up")
		at.end.do(l.t, "ip", "route", "add", at.to, "dev", at.device)
	}
	h.do(l.t, "ip", "route", "add", l.prefix+"0/24", "via", l.router.addr, "dev", cable)
}

// cut makes every packet between one host and others vanish in the router, both ways, until
// mend is called.
func (l *lan) cut(one *host, others ...*host) (mend func()) {
	l.t.Helper()
	rules := func(verb string) {
		for _, other := range others {
			l.router.do(l.t, "ip", "rule", verb, "from", one.addr, "to", other.addr, "blackhole")
			l.router.do(l.t, "ip", "rule", verb, "from", other.addr, "to", one.addr, "blackhole")
		}
	}
	rules("add")
	return func() { rules("del") }
}

// slow makes every packet from and to a host take so much longer, until mend is called: the
// router hands them to slow-line, which hands them back later.
func (l *lan) slow(h *host, by time.Duration) (mend func()) {
	l.t.Helper()
	const device, table = "slow0", "77"
	run := l.router.inside("slow-line", device, by.String())
	line := startWith(l.t, l.t.TempDir(), run[0], run[1:]...)
	if _, err := line.wait(line.out, regexp.MustCompile("ready")); err != nil {
		l.t.Skipf("packets cannot be held up here: %v", err)
	}
	l.router.do(l.t, "sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done")
	l.router.do(l.t, "ip", "link", "set", device, "up")
	l.router.do(l.t, "ip", "route", "add", "default", "dev", device, "table", table)
	rules := [][]string{{"pref", "10", "iif", device, "lookup", "main"}, {"pref", "11", "from", h.addr, "lookup", table}, {"pref", "12", "to", h.addr, "lookup", table}}
	for _, rule := range rules {
		l.router.do(l.t, append([]string{"ip", "rule", "add"}, rule...)...)
	}
	return func() {
		for _, rule := range slices.Backward(rules) {
			l.router.do(l.t, append([]string{"ip", "rule", "del"}, rule...)...)
		}
		line.kill() // and the device goes with it
	}
}

// inside is the command that runs a command at a host.
func (h *host) inside(args ...string) []string {
	if h == nil || h.pid == "" {
		return args
	}
	return append([]string{"nsenter", "--net=/proc/" + h.pid + "/ns/net", "--"}, args...)
}

// do runs a command at a host, which must succeed.
func (h *host) do(t *testing.T, args ...string) {
	t.Helper()
	args = h.inside(args...)
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, &said)
	}
}
