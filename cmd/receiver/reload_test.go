package main_test

import (
	"regexp"
	"syscall"
	"testing"
)

// A key comes while NATS is gone. That cannot be recorded, so it is not in force; once NATS
// is back it is, though nobody touches a file any more.
func TestReloadIsDoneWhenNATSIsBack(t *testing.T) {
	t.Parallel()
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	nats := []string{"-js", "-sd", t.TempDir(), "-a", p.host, "-p", p.nats}
	server := startWith(t, ".", "nats-server", nats...)
	ready := regexp.MustCompile("Server is ready")
	if _, err := server.wait(server.log, ready); err != nil {
		t.Fatal(err)
	}
	r := &replica{dir: t.TempDir()}
	if err := writeConfig(r.dir, p, "limits:\n  publish_timeout: 500ms\nnats:\n  mode: external\n  urls: [nats://"+p.host+":"+p.nats+"]\n"); err != nil {
		t.Fatal(err)
	}
	r.up(t)
	if _, err := server.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	mark := r.logged()
	r.write(t, "signature.key", secondKey)
	r.awaitLog(t, mark, `"level":"error".*"message":"the configuration cannot be put into force; the old keys and sources stay"`)
	startWith(t, ".", "nats-server", nats...)
	r.awaitLog(t, mark, `"message":"keys and sources reloaded"`)
	if code, err := r.end(syscall.SIGTERM); err != nil || code != 0 {
		t.Errorf("serve = exit %d, %v, want 0", code, err)
	}
}
