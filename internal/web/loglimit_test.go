package web_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/logging"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// Lines that unauthenticated senders and outages cause are logged at a limited rate, however often
// they come and however the sender varies its requests. An accepted callback always has its line.
func TestFloodsAreLoggedAtARate(t *testing.T) {
	t.Parallel()
	const times = 120
	for _, tt := range []struct {
		name string
		fail error
		do   func(d *rig, i int)
		want int // lines, at most; all of them if it is times
	}{
		{"accepted", nil, func(d *rig, i int) { d.post(fmt.Sprintf(`{"id":"%d","status":"COMPLETED"}`, i)) }, times},
		{"repeated", nil, func(d *rig, _ int) { d.post(demoBody) }, logging.PerKind + 1},
		{"not for a job", nil, func(d *rig, i int) { d.post(fmt.Sprintf(`["%d"]`, i)) }, logging.PerKind},
		{"not stored", errors.New("disk full"), func(d *rig, i int) { d.post(fmt.Sprintf(`{"id":"%d","status":"COMPLETED"}`, i)) }, logging.PerKind},
		{"forged", nil, func(d *rig, i int) { d.post(demoBody, verify.Header, signature(fmt.Sprint(i), demoBody)) }, logging.PerKind},
		{"unsigned", nil, func(d *rig, _ int) { d.post(demoBody, verify.Header, "") }, logging.PerKind},
		{"for sources that do not exist", nil, func(d *rig, i int) { d.do("POST", fmt.Sprintf("/callbacks/x%d", i), demoBody) }, logging.PerKind},
		{"too large", nil, func(d *rig, _ int) { d.post(strings.Repeat("x", 2000)) }, logging.PerKind},
		{"too large for sources that do not exist", nil, func(d *rig, i int) {
			d.do("POST", fmt.Sprintf("/callbacks/x%d", i), strings.Repeat("x", 2000))
		}, logging.PerKind},
		{"encoded", nil, func(d *rig, _ int) { d.post(demoBody, "Content-Encoding", "gzip") }, logging.PerKind},
		{"to wrong paths", nil, func(d *rig, i int) { d.do("POST", fmt.Sprintf("/x%d/callbacks/y%[1]d", i), demoBody) }, logging.PerKind},
		{"not found", nil, func(d *rig, _ int) { d.do("GET", "/x", "") }, logging.PerKind},
		{"by another method", nil, func(d *rig, _ int) { d.do("PUT", "/callbacks/demo", demoBody) }, logging.PerKind},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var limit *logging.Limiter
			d := open(t, func(o *options) {
				limit = logging.NewLimiter(o.public.Log)
				o.public.Limit = limit
			})
			d.fail = tt.fail
			began := time.Now()
			for i := range times {
				tt.do(d, i)
			}
			limit.Report()
			seconds := int(time.Since(began)/time.Second) + 1
			written, counted := 0, 0
			for _, line := range d.log.lines(t) {
				if n, ok := line["lines"].(float64); ok {
					counted += int(n)
					continue
				}
				written++
			}
			switch {
			case tt.want == times && (written != times || counted > 0):
				t.Errorf("%d lines and %d counted, want %d lines", written, counted, times)
			case tt.want < times && (written > tt.want*seconds || written > 0 && written+counted != times):
				t.Errorf("%d lines and %d counted in %d s, want at most %d a second and %d together", written, counted, seconds, tt.want, times)
			case int(limit.Held()) != counted:
				t.Errorf("Held() = %d, want %d", limit.Held(), counted)
			}
		})
	}
}

// exhausted is a listener without file descriptors for some calls.
type exhausted struct {
	net.Listener
	mu   sync.Mutex
	left int
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left--; e.left >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return e.Listener.Accept()
}

// net/http's own line about a connection that cannot be accepted goes into our log; it is the
// loop that accepts which writes it.
func TestAcceptErrorsAreLogged(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := &logs{}
	srv := web.NewServer(http.NotFoundHandler(), web.Limits{ReadHeader: time.Minute}, logging.Std(zerolog.New(log), "net/http"))
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(&exhausted{Listener: ln, left: 3}) }()
	res, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, res); got.code != http.StatusNotFound {
		t.Errorf("answered %d, want 404", got.code)
	}
	_ = srv.Close()
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
	if lines := log.lines(t); len(lines) != 3 || lines[0]["from"] != "net/http" || !strings.Contains(fmt.Sprint(lines[0]["message"]), "too many open files") {
		t.Errorf("logged %v, want three lines about open files", lines)
	}
}
