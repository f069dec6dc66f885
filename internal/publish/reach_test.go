package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// closedPort returns the address of a port without a listener.
func closedPort(t *testing.T) string {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// mute returns the address of a server that accepts connections and sends nothing.
func mute(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

func TestErrorNamesEveryServerAndItsFailure(t *testing.T) {
	t.Parallel()
	closed, silent := "nats://"+closedPort(t), "nats://"+mute(t)
	locked := natstest.NewServerWith(t, server.Options{Username: "u", Password: "hunter2"})
	all := conn.External{URLs: []string{closed, locked.NATS.ClientURL(), "nats://nowhere.invalid:4222", silent}}
	want := []string{closed + ": ", "connection refused", locked.NATS.ClientURL() + ": nats: Authorization Violation", "nats://nowhere.invalid:4222: ", silent + ": "}
	said := func(what string, err error) {
		t.Helper()
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s = %v, want %q in it", what, err, part)
			}
		}
		if !conn.MayPass(err) {
			t.Errorf("%s = %v, want an error that may pass", what, err)
		}
	}
	_, err := publish.Dial(t.Context(), all, conn.Options{})
	said("Dial", err)
	_, err = schema.SurveyCluster(t.Context(), all, conn.Options{})
	said("SurveyCluster", err)
	one := conn.External{URLs: []string{closed}}
	if _, err := publish.Dial(t.Context(), one, conn.Options{}); err == nil || !strings.Contains(err.Error(), closed+": ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Dial = %v, want the one server and why", err)
	}
}

func TestOneReachableServerIsEnough(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	for _, wrong := range []string{"nats://" + closedPort(t), "nats://nowhere.invalid:4222"} {
		for _, urls := range [][]string{{wrong, s.NATS.ClientURL()}, {s.NATS.ClientURL(), wrong}, {wrong, s.NATS.ClientURL(), wrong}} {
			e := conn.External{URLs: urls}
			b := natstest.Dial(t, e, conn.Options{})
			if err := b.Ready(t.Context()); err != nil {
				t.Errorf("Ready of %v = %v, want nil", urls, err)
			}
			for _, u := range e.Unreached(t.Context()) {
				if u.URL != wrong || u.Err == nil {
					t.Errorf("Unreached of %v = %v, want %s only", urls, u, wrong)
				}
			}
			if len(e.Unreached(t.Context())) != len(urls)-1 {
				t.Errorf("Unreached of %v = %v, want each that is wrong", urls, e.Unreached(t.Context()))
			}
		}
	}
}

func TestReadyNamesUnreachableServers(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	closed := "nats://" + closedPort(t)
	b := natstest.Dial(t, conn.External{URLs: []string{closed, s.NATS.ClientURL()}}, conn.Options{})
	url := s.NATS.ClientURL()
	s.Stop()
	natstest.Eventually(t, "both servers are named", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err := b.Ready(ctx)
		return err != nil && strings.Contains(err.Error(), closed+": ") && strings.Contains(err.Error(), url+": ")
	})
	s.Start()
	natstest.Eventually(t, "it is ready again", func() bool { return b.Ready(t.Context()) == nil })
}

// Trouble of a cluster may pass; a wrong stream does not.
func TestMayPass(t *testing.T) {
	t.Parallel()
	without := natstest.NewServerWithoutJetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := publish.Dial(ctx, without.External(), conn.Options{})
	if !conn.MayPass(err) || !strings.Contains(err.Error(), without.NATS.ClientURL()) {
		t.Errorf("Dial to a server without JetStream = %v, want an error with its URL that may pass", err)
	}
	other := natstest.NewServer(t, 0)
	if _, err := other.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: conn.JobsStream, Subjects: []string{"jobs.>"}, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Dial(t.Context(), other.External(), conn.Options{}); !errors.Is(err, conn.ErrStream) || conn.MayPass(err) {
		t.Errorf("Dial to a stream of another kind = %v, want ErrStream, which does not pass", err)
	}
	taken := natstest.NewServer(t, 0)
	if _, err := taken.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"jobs.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Dial(t.Context(), taken.External(), conn.Options{}); err == nil || conn.MayPass(err) {
		t.Errorf("Dial to a server whose subjects are taken = %v, want an error that does not pass", err)
	}
	if conn.MayPass(nil) {
		t.Error("no error may pass")
	}
}

// Dial to a server that accepts the connection and sends nothing ends with its context.
func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	begin := time.Now()
	_, err := publish.Dial(ctx, conn.External{URLs: []string{"nats://" + mute(t)}}, conn.Options{Timeout: time.Minute})
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || took > 10*time.Second {
		t.Errorf("Dial = %v after %v, want the context's error at once", err, took)
	}
}
