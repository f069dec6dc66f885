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

	"receiver/internal/job"
	"receiver/internal/publish"
)

func TestCopiesAreMadeInPlace(t *testing.T) {
	t.Parallel()
	servers := threeServers(t)
	e := publish.External{URLs: []string{servers[0].ClientURL()}}
	o := func(replicas int) publish.Options {
		return publish.Options{Timeout: 20 * time.Second, Streams: publish.Streams{Replicas: replicas}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := dial(t, e, o(1))
	const events = 20
	for i := range events {
		eventually(t, "a server to hear of the stream that another one has made", func() bool {
			_, err := b.Publish(t.Context(), event(job.Finished, fmt.Sprint(i), "COMPLETED"))
			return err == nil
		})
	}
	v := surveyed(t, func() (*publish.Survey, error) { return publish.SurveyCluster(ctx, e, o(3)) })
	if got := change(t, plan(t, v), "JOBS", "num_replicas"); got.Have != "1" || got.Want != "3" || got.Blocked != "" || got.Drops != 0 {
		t.Errorf("Plan has %+v, want 1 to 3 and nothing dropped", got)
	}
	if err := v.Apply(ctx, plan(t, v), false, migration, nil); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS", "WATCH", "ACTIONS"} {
		if err := v.Copied(ctx, stream); err != nil {
			t.Fatal(err)
		}
	}
	jobs := facts(t, v).Streams[0]
	if jobs.Replicas != 3 || len(jobs.Offline)+len(jobs.Behind) > 0 || jobs.Messages != events || len(jobs.Other) > 0 {
		t.Errorf("Facts has %+v, want three complete copies of %d messages", jobs, events)
	}

	servers[2].Shutdown()
	eventually(t, "the loss of a server to show", func() bool {
		f, err := v.Facts(ctx)
		return err == nil && len(f.Streams[0].Offline) == 1
	})
	short, cancel := context.WithTimeout(ctx, 5*time.Second) // time to be asked at least once
	defer cancel()
	if err := v.Copied(short, "JOBS"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "n2") {
		t.Errorf("Copied without n2 = %v, want that it waits for it", err)
	}
}

// threeServers is a cluster ready to make streams; its servers are n0, n1 and n2.
func threeServers(t *testing.T) []*server.Server {
	t.Helper()
	var held []net.Listener
	var routes []string
	for range 3 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held, routes = append(held, ln), append(routes, "nats://"+ln.Addr().String())
	}
	var all []*server.Server
	for i, ln := range held {
		ns, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: server.RoutesFromStr(strings.Join(routes, ",")),
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port},
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close() // not before, so that the ports differ
		all = append(all, ns)
		ns.Start()
		t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	}
	eventually(t, "the cluster to have a leader and three members", func() bool {
		members := 0
		for _, ns := range all {
			if ns.JetStreamIsLeader() {
				members = len(ns.JetStreamClusterPeers())
			}
		}
		return members == len(all)
	})
	return all
}
