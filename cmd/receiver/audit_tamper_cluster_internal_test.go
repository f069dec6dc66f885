package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
)

const sealedEvents = 300 // of which one is removed before it is sealed

// sealedCluster is a sealed log of each stream on a NATS server of its own.
type sealedCluster struct {
	t   *testing.T
	cfg *config.Config
	bus *publish.Store
}

func newSealedCluster(t *testing.T) *sealedCluster {
	t.Helper()
	dir := t.TempDir()
	key, err := logkey.Generate("test")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "log.key"), []byte(key.Secret()+"\n"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "anchor"), 0o700))
	server := natstest.NewServer(t, 0).External()
	must(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(`sources: {demo: {signature_keys: [{name: first, value: "a key for this test, long enough"}]}}
audit: {name: test, key: "file:log.key", anchors: [{directory: anchor}]}
nats: {mode: external, urls: ["`+server.URLs[0]+`"]}
`), 0o600))
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	must(t, err)
	c := &sealedCluster{t, cfg, natstest.Dial(t, server, conn.Options{})}
	c.fill(1, sealedEvents)
	must(t, c.bus.Record(t.Context(), natstest.Attempt("late")))
	must(t, c.stream(conn.JobsStream).DeleteMsg(t.Context(), 5))
	c.seal()
	return c
}

func (c *sealedCluster) fill(from, to int) {
	c.t.Helper()
	for i := from; i <= to; i++ {
		natstest.Store(c.t, c.bus, natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED"))
	}
	_, err := c.bus.Act(c.t.Context(), job.Action{What: job.ActionStart, Time: time.Now()})
	must(c.t, err)
}

func (c *sealedCluster) seal() {
	c.t.Helper()
	_, err := logs.Seal(c.t.Context(), c.cfg, c.bus, zerolog.Nop())
	must(c.t, err)
}

func (c *sealedCluster) stream(name string) jetstream.Stream {
	c.t.Helper()
	s, err := c.bus.JetStream().Stream(c.t.Context(), name)
	must(c.t, err)
	return s
}

// remake deletes a stream and creates it empty.
func (c *sealedCluster) remake(name string) {
	c.t.Helper()
	was := c.stream(name).CachedInfo().Config
	must(c.t, c.bus.JetStream().DeleteStream(c.t.Context(), name))
	_, err := c.bus.JetStream().CreateStream(c.t.Context(), was)
	must(c.t, err)
}

func (c *sealedCluster) find() logs.Losses {
	c.t.Helper()
	l, err := logs.FindLosses(c.t.Context(), c.cfg, c.bus)
	must(c.t, err)
	return l
}

// A start compares the streams of a cluster with the newest checkpoint of each place, and names the
// lost records. It goes on when an operator has accepted that, until more is lost.
func TestLossesOfAClusterAreNamed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		lose func(c *sealedCluster)
		want []string // each is in the error; none means that nothing is lost
	}{
		{"nothing is lost", func(*sealedCluster) {}, nil},
		{"records came since", func(c *sealedCluster) { c.fill(1001, 1003) }, nil},
		{"ATTEMPTS pushed its oldest out", func(c *sealedCluster) { must(c.t, c.stream(conn.AttemptsStream).Purge(c.t.Context())) }, nil},
		{"the first record", func(c *sealedCluster) { must(c.t, c.stream(conn.JobsStream).DeleteMsg(c.t.Context(), 1)) },
			[]string{"JOBS: sequences 1 to 1 are missing"}},
		{"records of the middle", func(c *sealedCluster) {
			for _, seq := range []uint64{3, 4, 6, 200} {
				must(c.t, c.stream(conn.JobsStream).DeleteMsg(c.t.Context(), seq))
			}
		}, []string{"JOBS: sequences 3 to 4 are missing", "JOBS: sequences 6 to 6", "JOBS: sequences 200 to 200"}},
		{"the last record", func(c *sealedCluster) { must(c.t, c.stream(conn.JobsStream).DeleteMsg(c.t.Context(), 300)) },
			[]string{"JOBS: sequences 300 to 300", "according to a signed checkpoint in the stream CHECKPOINTS"}},
		{"the oldest records", func(c *sealedCluster) { must(c.t, natstest.Drop(c.t.Context(), c.bus, conn.JobsStream, 100)) },
			[]string{"JOBS: sequences 1 to 4 are", "JOBS: sequences 6 to 99 are"}},
		{"all records", func(c *sealedCluster) { must(c.t, c.stream(conn.JobsStream).Purge(c.t.Context())) },
			[]string{"JOBS: sequences 6 to 300"}},
		{"the stream, made again empty", func(c *sealedCluster) { c.remake(conn.JobsStream) }, []string{"JOBS: sequences 6 to 300"}},
		{"the stream, made again with other records", func(c *sealedCluster) { c.remake(conn.JobsStream); c.fill(5001, 5300) },
			[]string{"JOBS: sequences 45 to 45 are missing or replaced", "and 251 other runs"}},
		{"the stream of actions", func(c *sealedCluster) { c.remake(conn.ActionsStream) }, []string{"ACTIONS: sequences 1 to 1"}},
		{"the checkpoints", func(c *sealedCluster) { c.remake(conn.CheckpointsStream) },
			[]string{"CHECKPOINTS/JOBS: sequences 1 to 300 are missing", "receiver-checkpoints"}},
		{"checkpoints and the checkpoint file", func(c *sealedCluster) {
			c.remake(conn.CheckpointsStream)
			must(c.t, os.Remove(c.cfg.Abs(c.cfg.Audit.CheckpointFile)))
		}, []string{"CHECKPOINTS/JOBS: sequences 1 to 300", "/anchor"}},
		{"records and tiles", func(c *sealedCluster) {
			must(c.t, c.stream(conn.JobsStream).DeleteMsg(c.t.Context(), 7))
			must(c.t, c.bus.JetStream().DeleteObjectStore(c.t.Context(), conn.TilesBucket))
		}, []string{"JOBS: sequences 7 to 7"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newSealedCluster(t)
			row.lose(c)
			err := c.find().Err()
			if errors.Is(err, storefolder.ErrLost) != (len(row.want) > 0) {
				t.Fatalf("Err = %v, want losses: %v", err, row.want)
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mend --accept-loss") || conn.MayPass(err) {
					t.Errorf("Err = %v, want %q, and what to do", err, want)
				}
			}
			if len(row.want) > 0 {
				c.accept()
			}
		})
	}
}

// accept accepts what is lost; a later loss is found all the same, and no sequence is given twice.
func (c *sealedCluster) accept() {
	c.t.Helper()
	accepted := c.find()
	must(c.t, accepted.Accept(c.t.Context(), c.bus, job.Action{What: job.ActionMend, Operator: "maria"}))
	if err := c.find().Err(); err != nil {
		c.t.Fatalf("Err after the acceptance = %v, want nil", err)
	}
	if end := natstest.ExtentOf(c.t, c.bus, conn.JobsStream).Last; end < sealedEvents {
		c.t.Errorf("JOBS goes on behind %d, want %d at least", end, sealedEvents)
	}
	const another = 250
	for _, s := range accepted.Gone[conn.JobsStream] {
		if s.First <= another && another <= s.Last {
			return
		}
	}
	must(c.t, c.stream(conn.JobsStream).DeleteMsg(c.t.Context(), another))
	if l := c.find(); len(l.Lines) != 1 || !strings.Contains(l.Lines[0], "JOBS: sequences 250 to 250") {
		c.t.Errorf("losses after the acceptance = %v, want sequence 250", l.Lines)
	}
}
