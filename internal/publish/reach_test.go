package publish_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish"
)

// closedPort returns the address of a port that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// mute returns the address of a server that takes connections and says nothing.
func mute(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

func TestAnErrorNamesEveryServerAndWhyItWasNotReached(t *testing.T) {
	t.Parallel()
	closed, silent := "nats://"+closedPort(t), "nats://"+mute(t)
	locked := somebodysServerWith(t, server.Options{Username: "u", Password: "hunter2"})
	all := publish.External{URLs: []string{closed, locked.ns.ClientURL(), "nats://nowhere.invalid:4222", silent}}
	want := []string{closed + ": ", "connection refused", locked.ns.ClientURL() + ": nats: Authorization Violation", "nats://nowhere.invalid:4222: ", silent + ": "}
	said := func(what string, err error) {
		t.Helper()
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s = %v, want %q in it", what, err, part)
			}
		}
		if !publish.MayPass(err) {
			t.Errorf("%s = %v, want an error that may pass", what, err)
		}
	}
	_, err := publish.Dial(t.Context(), all, publish.Options{})
	said("Dial", err)
	_, err = publish.SurveyCluster(t.Context(), all, publish.Options{})
	said("SurveyCluster", err)
	one := publish.External{URLs: []string{closed}}
	if _, err := publish.Dial(t.Context(), one, publish.Options{}); err == nil || !strings.Contains(err.Error(), closed+": ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("Dial = %v, want the one server and why", err)
	}
}

func TestOneServerThatAnswersIsEnough(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	for _, wrong := range []string{"nats://" + closedPort(t), "nats://nowhere.invalid:4222"} {
		for _, urls := range [][]string{{wrong, s.ns.ClientURL()}, {s.ns.ClientURL(), wrong}, {wrong, s.ns.ClientURL(), wrong}} {
			e := publish.External{URLs: urls}
			b := dial(t, e, publish.Options{})
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

func TestReadySaysWhichServersAreGone(t *testing.T) {
	t.Parallel()
	s := somebodysServer(t, 0)
	closed := "nats://" + closedPort(t)
	b := dial(t, publish.External{URLs: []string{closed, s.ns.ClientURL()}}, publish.Options{})
	url := s.ns.ClientURL()
	s.stop()
	eventually(t, "both servers are named", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		err := b.Ready(ctx)
		return err != nil && strings.Contains(err.Error(), closed+": ") && strings.Contains(err.Error(), url+": ")
	})
	s.start()
	eventually(t, "it is ready again", func() bool { return b.Ready(t.Context()) == nil })
}

// What a cluster has trouble with may pass; what it says of our streams does not.
func TestWhatMayPass(t *testing.T) {
	t.Parallel()
	without := serverWithout(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := publish.Dial(ctx, without.external(), publish.Options{})
	if !publish.MayPass(err) || !strings.Contains(err.Error(), without.ns.ClientURL()) {
		t.Errorf("Dial to a server without JetStream = %v, want an error with its URL that may pass", err)
	}
	other := somebodysServer(t, 0)
	if _, err := other.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{Name: publish.JobsStream, Subjects: []string{"jobs.>"}, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Dial(t.Context(), other.external(), publish.Options{}); !errors.Is(err, publish.ErrStream) || publish.MayPass(err) {
		t.Errorf("Dial to a stream of another kind = %v, want ErrStream, which does not pass", err)
	}
	taken := somebodysServer(t, 0)
	if _, err := taken.jetstream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"jobs.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Dial(t.Context(), taken.external(), publish.Options{}); err == nil || publish.MayPass(err) {
		t.Errorf("Dial to a server whose subjects are taken = %v, want an error that does not pass", err)
	}
	if publish.MayPass(nil) {
		t.Error("no error may pass")
	}
}

// A server that takes the connection and says nothing is not waited for when nobody waits any more.
func TestDialEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	begin := time.Now()
	_, err := publish.Dial(ctx, publish.External{URLs: []string{"nats://" + mute(t)}}, publish.Options{})
	if took := time.Since(begin); !errors.Is(err, context.Canceled) || took > time.Second {
		t.Errorf("Dial = %v after %v, want the context's error at once", err, took)
	}
}
