package natsserver

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

// Sync is when a NATS server calls fsync, and the time on its clock.
type Sync struct {
	// Always means before every acknowledgement. Otherwise the server calls fsync every Interval,
	// and a loss of power loses what was acknowledged since.
	Always   bool
	Interval time.Duration
	// Clock is the server's time at some moment between Asked and Answered on the local clock.
	Clock, Asked, Answered time.Time
}

// ErrNoSync is returned by MonitoredSync for a server that does not report it.
var ErrNoSync = errors.New("the server does not report when it calls fsync")

// MonitoredSync asks the monitoring port of a NATS server, such as http://host:8222, when it calls
// fsync. A client of an ordinary account cannot ask that, nor ask one server of a cluster for its
// time.
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
