// Package profiling answers GET /debug/pprof/{profile}: where the process spends its time and its
// memory. It serves the format of runtime/pprof, which `go tool pprof` reads, and never the command
// line or anything else that could hold a secret.
//
// It decides nothing about permission: internal/web lets a request through by its scope.
package profiling

import (
	"bytes"
	"context"
	"net/http"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
)

// cpu is the profile that takes time. The others are of one moment, or of the time since the start.
const cpu = "profile"

// snapshots are the other profiles. Those of blocked goroutines and of locks are not among them:
// they are empty unless the runtime measures all the time.
var snapshots = []string{"allocs", "goroutine", "heap", "threadcreate"}

const (
	// usualTime is how long a CPU profile takes if the request does not say, and longestTime the
	// most that it may.
	usualTime, longestTime = 30 * time.Second, time.Minute
	// slack is how long the answer may take to be made and sent after that.
	slack = 30 * time.Second
)

// Profiler takes profiles of this process. The zero Profiler takes none, and answers 404.
type Profiler struct {
	On bool
	// Stopping is done when the listener stops: then a profile that is being taken is given up. Nil
	// is never.
	Stopping context.Context
}

// Serve answers with a profile, or returns a problem. It logs each profile to log, with the name of
// the token.
func (p Profiler) Serve(w http.ResponseWriter, r *http.Request, name string, log zerolog.Logger) error {
	if !p.On {
		return api.NoSuchPath.Problem("profiling is off; set private.pprof: true and restart the receiver")
	}
	if name != cpu && !slices.Contains(snapshots, name) {
		return api.NoSuchPath.Problem("there is no profile %q; there are %s and %s", name, strings.Join(snapshots, ", "), cpu)
	}
	seconds, debug, err := parameters(r, name)
	if err != nil {
		return err
	}
	note := func() {
		log.Info().Str("operator", access.Operator(r.Context())).Str("profile", name).Int("seconds", seconds).
			Str("request", api.RequestID(r.Context())).Msg("a client takes a profile of the process")
	}
	take := time.Duration(seconds) * time.Second
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{}) // a writer without deadlines has none to move
	_ = deadlines.SetWriteDeadline(time.Now().Add(take + slack))
	var body bytes.Buffer
	if name == cpu {
		err = p.measure(r.Context(), take, &body, note)
	} else {
		note()
		err = pprof.Lookup(name).WriteTo(&body, debug)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	_, err = w.Write(body.Bytes())
	return err
}

// measure takes a CPU profile. The runtime takes one at a time in a process.
func (p Profiler) measure(ctx context.Context, take time.Duration, to *bytes.Buffer, note func()) error {
	if err := pprof.StartCPUProfile(to); err != nil {
		busy := api.TooManyRequests.Problem("a CPU profile is being taken; try again when it has ended")
		busy.RetryAfter = 1
		return busy
	}
	note()
	stopping := context.Background()
	if p.Stopping != nil {
		stopping = p.Stopping
	}
	end := time.NewTimer(take)
	defer end.Stop()
	ended := true
	select {
	case <-end.C:
	case <-ctx.Done():
		ended = false
	case <-stopping.Done():
		ended = false
	}
	pprof.StopCPUProfile()
	if !ended {
		return api.Unavailable.Problem("the profile was given up: the receiver stops, the token is no longer in force, or the client has disconnected")
	}
	return nil
}

// parameters reads seconds, of a CPU profile, and debug, of the others. It refuses all else, as
// other operations do.
func parameters(r *http.Request, name string) (seconds, debug int, err error) {
	number, least, most := &debug, 0, 2
	allowed := "debug"
	if name == cpu {
		seconds = int(usualTime.Seconds())
		number, least, most = &seconds, 1, int(longestTime.Seconds())
		allowed = "seconds"
	}
	for key, values := range r.URL.Query() {
		if key != allowed {
			return 0, 0, api.BadRequest.Problem("unknown parameter %q; the profile %s takes %s", key, name, allowed)
		}
		n, err := strconv.Atoi(values[0])
		if err != nil || n < least || n > most || len(values) > 1 {
			return 0, 0, api.BadRequest.Problem("%s is not one whole number from %d to %d", key, least, most)
		}
		*number = n
	}
	return seconds, debug, nil
}
