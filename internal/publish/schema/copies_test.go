package schema_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/cluster"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

func TestReplicasAreAddedInPlace(t *testing.T) {
	t.Parallel()
	servers := threeServers(t)
	e := conn.External{URLs: []string{servers[0].ClientURL()}}
	o := func(replicas int) conn.Options {
		return conn.Options{Timeout: 20 * time.Second, Streams: conn.Streams{Replicas: replicas}}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := natstest.Dial(t, e, o(1))
	const events = 20
	for i := range events {
		natstest.Eventually(t, "a server to hear of the stream that another one has made", func() bool {
			_, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
			return err == nil
		})
	}
	v := surveyed(t, func() (*schema.Survey, error) { return schema.SurveyCluster(ctx, e, o(3)) })
	if got := change(t, plan(t, v), "JOBS", "num_replicas"); got.Have != "1" || got.Want != "3" || got.Blocked != "" || got.Drops != 0 {
		t.Errorf("Plan has %+v, want 1 to 3 and nothing dropped", got)
	}
	if err := v.Apply(ctx, plan(t, v), false, migration, nil); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS", "WATCH", "SUBMISSIONS", "REPLAYS", "ACTIONS"} {
		if err := v.Copied(ctx, stream); err != nil {
			t.Fatal(err)
		}
	}
	jobs := facts(t, v).Streams[0]
	if jobs.Replicas != 3 || len(jobs.Offline)+len(jobs.Behind) > 0 || jobs.Messages != events || len(jobs.Other) > 0 {
		t.Errorf("Facts has %+v, want three complete copies of %d messages", jobs, events)
	}

	servers[2].Shutdown()
	natstest.Eventually(t, "the loss of a server to show", func() bool {
		f, err := v.Facts(ctx)
		return err == nil && len(f.Streams[0].Offline) == 1
	})
	short, cancel := context.WithTimeout(ctx, 5*time.Second) // time for one request at least
	defer cancel()
	if err := v.Copied(short, "JOBS"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "n2") {
		t.Errorf("Copied without n2 = %v, want that it waits for it", err)
	}
}

// threeServers starts a cluster of the servers n0, n1 and n2, ready to create streams.
func threeServers(t *testing.T) []*server.Server {
	t.Helper()
	var ports []int
	var routes []string
	for range 3 {
		port, err := cluster.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports, routes = append(ports, port), append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	var all []*server.Server
	for i, port := range ports {
		ns, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: server.RoutesFromStr(strings.Join(routes, ",")),
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ns)
		ns.Start()
		t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	}
	natstest.Eventually(t, "the cluster to have a leader and three members", func() bool {
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
