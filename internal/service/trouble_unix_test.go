//go:build unix

package service_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/natstest"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// noPeers is the answer of a cluster that has just formed.
var noPeers = natstest.Refusal(400, 10005, "no suitable peers for placement, peer offline")

// troubles are answers of a cluster to a right request that it cannot do yet.
var troubles = map[string]string{
	"no peers":      noPeers,
	"unavailable":   natstest.Refusal(503, 10008, "JetStream system temporarily unavailable"),
	"no resources":  natstest.Refusal(503, 10023, "insufficient resources"),
	"busy":          natstest.Refusal(429, 10167, "too many requests"),
	"not yet known": natstest.Refusal(404, 10059, "stream not found"),
	"nobody":        "",
}

// outside returns the configuration of a receiver at a new server, behind a wall.
func outside(t *testing.T, judge natstest.Judge) (*config.Config, *natstest.Wall) {
	t.Helper()
	s := natstest.NewServer(t, 0)
	w := natstest.NewJudgingWall(t, strings.TrimPrefix(s.NATS.ClientURL(), "nats://"), judge)
	return installed(t, "RECEIVER_NATS_MODE=external", "RECEIVER_NATS_URLS="+w.URL()), w
}

// requests returns the subjects that the first start of a receiver asks something on.
func requests(t *testing.T) (all []string) {
	t.Helper()
	var mu sync.Mutex
	cfg, _ := outside(t, func(subject string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(all, subject) {
			all = append(all, subject)
		}
		return "", false
	})
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	mu.Lock()
	found := slices.Clone(all)
	mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Stop(); err != nil {
		t.Error(err)
	}
	return found
}

// A cluster that is not ready yet for any one request of a start is waited for.
func TestStartWaitsForEveryRequest(t *testing.T) {
	t.Parallel()
	subjects := requests(t)
	for _, want := range []string{"$JS.API.STREAM.CREATE.JOBS", "$JS.API.STREAM.CREATE.OBJ_TILES", "$JS.API.STREAM.CREATE.KV_LEASES", "actions.start"} {
		if !slices.ContainsFunc(subjects, func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Fatalf("the start asks on %v, want also %s", subjects, want)
		}
	}
	for i, subject := range subjects {
		others := []string{"unavailable", "no resources", "busy", "nobody"}
		for _, name := range []string{"no peers", others[i%len(others)]} {
			t.Run(name+"/"+subject, func(t *testing.T) {
				t.Parallel()
				startsAfter(t, troubles[name], subject)
			})
		}
	}
	// For a stream that is missing this is the truth, so not for every request.
	t.Run("not yet known/$JS.API.STREAM.CREATE.OBJ_TILES", func(t *testing.T) {
		t.Parallel()
		startsAfter(t, troubles["not yet known"], "$JS.API.STREAM.CREATE.OBJ_TILES")
	})
}

// startsAfter starts a receiver whose cluster gives an answer to the first requests on a subject.
func startsAfter(t *testing.T, answer, subject string) {
	t.Helper()
	var mu sync.Mutex
	left := 3
	cfg, _ := outside(t, func(asked string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		if asked != subject || left == 0 {
			return "", false
		}
		left--
		return answer, true
	})
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatalf("Start = %v, want one that waits", err)
	}
	natstest.Eventually(t, "the receiver to be ready", func() bool {
		code, _ := readiness(t.Context(), cfg)
		return code == http.StatusOK
	})
	mu.Lock()
	left = 0 // it concerned what is done later
	mu.Unlock()
	if err := in.Stop(); err != nil {
		t.Error(err)
	}
}

// While it waits, /readyz says for what and where.
func TestReadySaysWhatTheStartWaitsFor(t *testing.T) {
	t.Parallel()
	for _, bucket := range []string{"OBJ_TILES", "KV_LEASES"} {
		t.Run(bucket, func(t *testing.T) {
			t.Parallel()
			healed := make(chan struct{})
			cfg, wall := outside(t, func(subject string) (string, bool) {
				select {
				case <-healed:
					return "", false
				default:
					return noPeers, subject == "$JS.API.STREAM.CREATE."+bucket
				}
			})
			started := make(chan error, 1)
			go func() {
				in, err := service.Start(t.Context(), cfg, zerolog.Nop())
				if err == nil {
					err = in.Stop()
				}
				started <- err
			}()
			says := ""
			natstest.Eventually(t, "/readyz to say why", func() bool {
				var code int
				code, says = readiness(t.Context(), cfg)
				return code == http.StatusServiceUnavailable && strings.Contains(says, "no suitable peers")
			})
			if !strings.Contains(says, "waiting for NATS: ") || !strings.Contains(says, wall.URL()) {
				t.Errorf("/readyz = %s, want the address of the cluster", says)
			}
			close(healed)
			if err := <-started; err != nil {
				t.Errorf("Start = %v, want nil as soon as the cluster is ready", err)
			}
		})
	}
}

// A start that only an operator can mend does not wait.
func TestStartEndsOverWhatStaysWrong(t *testing.T) {
	t.Parallel()
	refusal := natstest.Refusal(400, 10052, "the stream configuration is wrong")
	refuse := func(subject string) natstest.Judge {
		return func(asked string) (string, bool) { return refusal, asked == subject }
	}
	for name, tt := range map[string]struct {
		judge  natstest.Judge
		change func(*config.Config)
		is     func(error) bool
	}{
		"a refused stream": {judge: refuse("$JS.API.STREAM.CREATE.JOBS")},
		"a refused bucket": {judge: refuse("$JS.API.STREAM.CREATE.KV_LEASES")},
		"a checkpoint file that is a folder": {
			change: func(cfg *config.Config) { cfg.Audit.CheckpointFile = config.Path(t.TempDir()) },
			is:     func(err error) bool { return errors.Is(err, logs.ErrFile) },
		},
		"another name of the logs": {
			change: func(cfg *config.Config) { cfg.Audit.Name += "-other" },
			is:     func(err error) bool { return errors.As(err, new(config.UseError)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := outside(t, tt.judge)
			if tt.change != nil {
				in, err := service.Start(t.Context(), cfg, zerolog.Nop())
				if err != nil {
					t.Fatal(err)
				}
				if err := in.Stop(); err != nil {
					t.Fatal(err)
				}
				tt.change(cfg)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := service.Start(t.Context(), cfg, zerolog.Nop())
				ended <- err
			}()
			select {
			case err := <-ended:
				if err == nil || tt.is != nil && !tt.is(err) {
					t.Errorf("Start = %v, want what is wrong", err)
				}
			case <-time.After(time.Minute):
				t.Error("Start waits, want its error")
			}
		})
	}
}
