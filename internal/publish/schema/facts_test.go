package schema_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

func TestFactsOfARunningServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := natstest.Start(t, folder)
	b := natstest.Open(t, s)
	before := time.Now().Add(-time.Second)
	natstest.Store(t, b, natstest.Event(job.Finished, "1", "COMPLETED"))
	v := surveyed(t, func() (*schema.Survey, error) { return natstest.SurveyFolder(t, folder) })
	got := facts(t, v)
	if got.URL != s.URL() || got.Version != natsserver.EmbeddedVersion || got.Cluster != "" || got.MaxPayload != b.MaxPayload() {
		t.Errorf("Facts = %+v, want those of the server at %s", got, s.URL())
	}
	if got.APILevel < 2 || got.StoreUsed <= 0 || got.StoreLimit != -1 {
		t.Errorf("Facts has API level %d, %d of %d bytes", got.APILevel, got.StoreUsed, got.StoreLimit)
	}
	if got.Clock.Before(got.Asked) || got.Clock.After(got.Answered) {
		t.Errorf("the server's clock shows %v, want it between %v and %v: it is ours", got.Clock, got.Asked, got.Answered)
	}
	jobs := got.Streams[0]
	if jobs.Name != "JOBS" || !jobs.Atomic || jobs.Replicas != 1 || jobs.MaxAge != 2160*time.Hour || jobs.MaxBytes > 0 || jobs.Memory || jobs.DiscardNew {
		t.Errorf("Facts of JOBS are %+v", jobs)
	}
	if jobs.Messages != 1 || jobs.Bytes == 0 || jobs.First.Before(before) || jobs.Last.Before(before) || len(jobs.Breaking)+len(jobs.Other) > 0 {
		t.Errorf("Facts of JOBS are %+v, want one message of now and no difference", jobs)
	}
}

func TestFactsNameDifferences(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 0)
	create(t, s.JetStream(), jetstream.StreamConfig{
		Name: "JOBS", Subjects: []string{"jobs.>"}, MaxBytes: 1 << 20, MaxAge: time.Hour, Storage: jetstream.MemoryStorage, Discard: jetstream.DiscardNew,
	})
	got := facts(t, surveyOf(t, s, conn.Options{}))
	jobs := got.Streams[0]
	if !jobs.Memory || !jobs.DiscardNew || jobs.MaxAge != time.Hour || jobs.MaxBytes != 1<<20 {
		t.Errorf("Facts of JOBS are %+v", jobs)
	}
	if want := []string{"max_bytes is 1048576, want unlimited"}; !reflect.DeepEqual(jobs.Breaking, want) {
		t.Errorf("it is refused for %q, want %q", jobs.Breaking, want)
	}
	if text := strings.Join(jobs.Other, "; "); !strings.Contains(text, "max_age is 1h, want 2160h") || !strings.Contains(text, "storage is Memory, want File") {
		t.Errorf("it also differs in %q", text)
	}
	for _, other := range got.Streams[1:] {
		if !other.Missing {
			t.Errorf("%s is there, want it missing", other.Name)
		}
	}
}

// Reading the facts of a folder does not change it.
func TestFactsOfAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := schema.ConfigFacts(conn.Streams{}, natsserver.FolderConfigs(folder)); !errors.Is(err, natsserver.ErrNoStore) {
		t.Errorf("ConfigFacts of nothing = %v, want ErrNoStore", err)
	}
	s, err := natsserver.Start(natstest.Embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	b, err := publish.Open(t.Context(), s, conn.Options{Streams: conn.Streams{JobsMaxAge: 100 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := natsserver.Running(folder); !errors.Is(err, storefolder.ErrNotRunning) {
		t.Errorf("Running = %v, want ErrNotRunning", err)
	}
	before := natstest.Digests(t, folder)
	got, err := schema.ConfigFacts(conn.Streams{}, natsserver.FolderConfigs(folder))
	if err != nil || len(got) != len(conn.Streams{}.Configs()) {
		t.Fatalf("ConfigFacts = %+v, %v, want every stream", got, err)
	}
	if jobs := got[0]; jobs.Name != "JOBS" || jobs.MaxAge != 100*time.Hour || !jobs.Atomic || jobs.Replicas != 1 ||
		!reflect.DeepEqual(jobs.Other, []string{"max_age is 100h, want 2160h"}) {
		t.Errorf("ConfigFacts has %+v, want JOBS with 100h", jobs)
	}
	if after := natstest.Digests(t, folder); !maps.Equal(before, after) {
		t.Errorf("the folder has changed from\n%v to\n%v", before, after)
	}
	meta := filepath.Join(folder, "jetstream", "RECEIVER", "streams", "JOBS", "meta.inf")
	if err := os.WriteFile(meta, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.ConfigFacts(conn.Streams{}, natsserver.FolderConfigs(folder)); err == nil || !strings.Contains(err.Error(), "stream JOBS") {
		t.Errorf("ConfigFacts of a damaged folder = %v, want that JOBS is damaged", err)
	}
}

func TestMonitoredSync(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		options server.Options
		want    natsserver.Sync
	}{
		"by default": {server.Options{}, natsserver.Sync{Interval: 2 * time.Minute}},
		"interval":   {server.Options{SyncInterval: 10 * time.Second}, natsserver.Sync{Interval: 10 * time.Second}},
		"always":     {server.Options{SyncAlways: true}, natsserver.Sync{Always: true, Interval: 2 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.options
			o.Host, o.Port, o.HTTPHost, o.HTTPPort = "127.0.0.1", server.RANDOM_PORT, "127.0.0.1", server.RANDOM_PORT
			o.JetStream, o.StoreDir, o.NoLog, o.NoSigs = true, t.TempDir(), true, true
			ns, err := server.NewServer(&o)
			if err != nil {
				t.Fatal(err)
			}
			ns.Start()
			t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
			if !ns.ReadyForConnections(10 * time.Second) {
				t.Fatal("the server did not get ready")
			}
			got, err := natsserver.MonitoredSync(t.Context(), "http://"+ns.MonitorAddr().String()+"/")
			if err != nil || got.Always != tt.want.Always || got.Interval != tt.want.Interval {
				t.Errorf("MonitoredSync = %+v, %v, want %+v", got, err, tt.want)
			}
			if got.Clock.Before(got.Asked) || got.Clock.After(got.Answered) {
				t.Errorf("MonitoredSync of a server by our clock = %+v, want its time within ours", got)
			}
		})
	}
}

func TestMonitoredSyncOfOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code int
		body string
		want error
	}{
		"an old server": {200, `{"server_id":"A","config":{"max_memory":1,"max_storage":1}}`, natsserver.ErrNoSync},
		"no JetStream":  {200, `{"server_id":"A","disabled":true}`, natsserver.ErrNoSync},
		"another":       {200, `<html>`, nil},
		"not there":     {404, `{}`, nil},
	} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.code)
			_, _ = io.WriteString(w, tt.body)
		}))
		t.Cleanup(other.Close)
		got, err := natsserver.MonitoredSync(t.Context(), other.URL)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: MonitoredSync = %+v, %v, want the error %v", name, got, err, tt.want)
		}
	}
}

func facts(t *testing.T, v *schema.Survey) schema.Facts {
	t.Helper()
	f, err := v.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}
