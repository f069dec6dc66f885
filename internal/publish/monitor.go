package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Sync is when a NATS server calls fsync, and what its clock shows.
type Sync struct {
	// Always is before every acknowledgement. Otherwise it is every Interval, and what was
	// acknowledged since is lost with the power.
	Always   bool
	Interval time.Duration
	// Clock is the server's time, at some moment between Asked and Answered of ours.
	Clock, Asked, Answered time.Time
}

// ErrNoSync is returned by MonitoredSync for a server that does not tell.
var ErrNoSync = errors.New("the server does not tell when it calls fsync")

// MonitoredSync asks the monitoring port of a NATS server, such as http://host:8222, when it
// calls fsync: no client of an ordinary account can, nor reach one server of a cluster to
// ask for its time.
func MonitoredSync(ctx context.Context, address string) (Sync, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/jsz", nil)
	if err != nil {
		return Sync{}, fmt.Errorf("asking %s: %w", address, err)
	}
	asked := time.Now()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return Sync{}, fmt.Errorf("asking the monitoring port: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return Sync{}, fmt.Errorf("asking %s/jsz: %s", address, answer.Status)
	}
	var said server.JSInfo
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&said); err != nil {
		return Sync{}, fmt.Errorf("reading the answer of %s/jsz: %w", address, err)
	}
	s := Sync{
		Always: said.Config.SyncAlways, Interval: said.Config.SyncInterval,
		Clock: said.Now, Asked: asked, Answered: time.Now(),
	}
	if !s.Always && s.Interval <= 0 {
		return Sync{}, fmt.Errorf("%w: %s", ErrNoSync, address)
	}
	return s, nil
}
