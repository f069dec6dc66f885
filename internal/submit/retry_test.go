package submit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/submit"
)

const done = `{"id":"1","status":"COMPLETED"}`

func TestRetries(t *testing.T) {
	status := func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }
	cancel := func(c *submit.Client) error { _, err := c.Cancel(t.Context(), "1"); return err }
	query := func(c *submit.Client) error { _, err := c.Query(t.Context(), submit.Query{Q: "q"}); return err }
	const broken, cut = 0, 1
	for _, tc := range []struct {
		name  string
		do    func(*submit.Client) error
		first int // what is answered before all is well: a status, broken or cut
		times int
		tries int // wanted
		fails error
	}{
		{"GET after 503", status, 503, 3, 4, nil},
		{"GET after 500", status, 500, 1, 2, nil},
		{"GET after a broken connection", status, broken, 3, 4, nil},
		{"GET after an answer cut off", status, cut, 3, 4, nil},
		{"GET after 429", status, 429, 2, 3, nil},
		{"PUT after a broken connection", cancel, broken, 1, 2, nil},
		{"PUT after 502", cancel, 502, 1, 2, nil},
		{"GET gives up on 503", status, 503, 9, 4, new(submit.Error)},
		{"GET gives up on 429", status, 429, 9, 3, submit.ErrTooMany},
		{"GET does not ask 404 again", status, 404, 9, 1, submit.ErrNotFound},
		{"GET does not ask 401 again", status, 401, 9, 1, submit.ErrUnauthorized},
		{"GET does not ask 403 again", status, 403, 9, 1, submit.ErrUnauthorized},
		{"POST never after 503", query, 503, 1, 1, submit.ErrMayExist},
		{"POST never after 500", query, 500, 1, 1, submit.ErrMayExist},
		{"POST never after 429", query, 429, 1, 1, submit.ErrTooMany},
		{"POST never after a broken connection", query, broken, 1, 1, submit.ErrMayExist},
		{"POST never after an answer cut off", query, cut, 1, 1, submit.ErrMayExist},
		{"POST never after 502", query, 502, 1, 1, submit.ErrMayExist},
		{"POST never after 504", query, 504, 1, 1, submit.ErrMayExist},
		{"POST never after 303", query, 303, 1, 1, submit.ErrMayExist},
		{"POST never after 302", query, 302, 1, 1, submit.ErrMayExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tries atomic.Int64
			c, slept := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				switch {
				case tries.Add(1) > int64(tc.times):
					_, _ = io.WriteString(w, done)
				case tc.first == broken:
					hangUp(t, w)
				case tc.first == cut:
					w.Header().Set("Content-Length", "1000")
					_, _ = io.WriteString(w, `{"id":`)
				default:
					w.WriteHeader(tc.first)
				}
			})
			err := tc.do(c)
			if got := int(tries.Load()); got != tc.tries {
				t.Errorf("tried %d times, want %d", got, tc.tries)
			}
			if len(slept.taken) != tc.tries-1 {
				t.Errorf("slept %d times, want %d", len(slept.taken), tc.tries-1)
			}
			var refused *submit.Error
			if errors.As(tc.fails, &refused) && errors.As(err, &refused) && !errors.Is(err, submit.ErrMayExist) {
				return
			}
			if !errors.Is(err, tc.fails) {
				t.Errorf("got %v, want %v", err, tc.fails)
			}
		})
	}
}

func TestWaits(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, header string
		low, high    []time.Duration
	}{
		{"doubling, jittered, capped", "", []time.Duration{5e8, 1e9, 15e8}, []time.Duration{1e9, 2e9, 3e9}},
		{"seconds", "2", []time.Duration{2e9, 2e9, 2e9}, []time.Duration{2e9, 2e9, 2e9}},
		{"seconds, capped", "86400", []time.Duration{3e9, 3e9, 3e9}, []time.Duration{3e9, 3e9, 3e9}},
		{"date", now.Add(2 * time.Second).Format(http.TimeFormat), []time.Duration{2e9, 2e9, 2e9}, []time.Duration{2e9, 2e9, 2e9}},
		{"date, capped", now.Add(time.Hour).Format(http.TimeFormat), []time.Duration{3e9, 3e9, 3e9}, []time.Duration{3e9, 3e9, 3e9}},
		{"date that has passed", now.Add(-time.Hour).Format(http.TimeFormat), []time.Duration{5e8, 1e9, 15e8}, []time.Duration{1e9, 2e9, 3e9}},
		{"nonsense", "-7", []time.Duration{5e8, 1e9, 15e8}, []time.Duration{1e9, 2e9, 3e9}},
		{"more than fits", strings.Repeat("9", 40), []time.Duration{5e8, 1e9, 15e8}, []time.Duration{1e9, 2e9, 3e9}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			defer srv.Close()
			var slept naps
			o := options(srv.URL)
			o.Sleep, o.Now = slept.sleep, func() time.Time { return now }
			o.Retries = submit.Retries{First: time.Second, Max: 3 * time.Second}
			_, _ = newClient(t, o).Status(t.Context(), "1")
			if len(slept.taken) != len(tc.low) {
				t.Fatalf("waited %v, want %d waits", slept.taken, len(tc.low))
			}
			for i, d := range slept.taken {
				if d < tc.low[i] || d > tc.high[i] {
					t.Errorf("wait %d = %v, want between %v and %v", i, d, tc.low[i], tc.high[i])
				}
			}
		})
	}
}

// refusing fails the first dials as a closed port does.
func refusing(dials *atomic.Int64, times int64) http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) <= times {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
}

func TestPostIsRepeatedOnlyWhileNothingWasSent(t *testing.T) {
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		f, _, err := r.FormFile("file")
		if err != nil {
			t.Errorf("FormFile() = %v", err)
			return
		}
		if got, _ := io.ReadAll(f); string(got) != "a,b\n1,2\n" {
			t.Errorf("file = %q", got)
		}
		_, _ = io.WriteString(w, `{"id":"9","status":"CREATED"}`)
	}))
	defer srv.Close()
	var dials atomic.Int64
	var slept naps
	o := options(srv.URL)
	o.Around, o.Sleep = over(refusing(&dials, 2)), slept.sleep
	got, err := newClient(t, o).Upload(t.Context(), submit.Upload{
		Object: "contact", FileName: "a.csv", File: strings.NewReader("a,b\n1,2\n"), Size: 8,
	})
	if err != nil || got.ID != "9" {
		t.Fatalf("Upload() = %+v, %v, want job 9", got, err)
	}
	if requests.Load() != 1 || dials.Load() != 3 {
		t.Errorf("%d requests on %d dials, want 1 on 3", requests.Load(), dials.Load())
	}

	dials.Store(-100)
	o.Around = over(refusing(&dials, 100))
	_, err = newClient(t, o).Query(t.Context(), submit.Query{Q: "q"})
	if err == nil || errors.Is(err, submit.ErrMayExist) || !strings.Contains(err.Error(), "tried 4 times") {
		t.Errorf("Query() with the port closed = %v, want an error after 4 tries that is not ErrMayExist", err)
	}
}

func TestDoneContextWins(t *testing.T) {
	t.Run("while waiting", func(t *testing.T) {
		srv := httptest.NewServer(answering(503, "", nil))
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		o := options(srv.URL)
		waits := 0
		o.Sleep = func(ctx context.Context, _ time.Duration) error { waits++; cancel(); return ctx.Err() }
		_, err := newClient(t, o).Status(ctx, "1")
		var refused *submit.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &refused) || waits != 1 {
			t.Errorf("Status() = %v after %d waits, want the 503 and context.Canceled after 1", err, waits)
		}
	})
	t.Run("while asking", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		c, slept := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(errors.New("enough")); <-r.Context().Done() })
		_, err := c.Status(ctx, "1")
		if !errors.Is(err, context.Canceled) || len(slept.taken) != 0 {
			t.Errorf("Status() = %v after %d waits, want context.Canceled after none", err, len(slept.taken))
		}
	})
	t.Run("POST whose answer is awaited", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		_, err := c.Query(ctx, submit.Query{Q: "q"})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, submit.ErrMayExist) {
			t.Errorf("Query() = %v, want context.Canceled and ErrMayExist", err)
		}
	})
}

func TestRealWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options("http://localhost")
		o.Around = over(canned{code: 503})
		o.Retries = submit.Retries{Tries: 2, First: time.Hour, Max: time.Hour}
		began := time.Now()
		_, err := newClient(t, o).Status(t.Context(), "1")
		if took := time.Since(began); err == nil || took < time.Hour/2 || took > time.Hour {
			t.Errorf("Status() = %v after %v, want an error after half an hour to an hour", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		_, err = newClient(t, o).Status(ctx, "1")
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
			t.Errorf("Status() = %v after %v, want context.DeadlineExceeded after a minute", err, took)
		}
	})
}

func TestTimeoutOfOneTry(t *testing.T) {
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, done)
	}))
	defer srv.Close()
	var slept naps
	o := options(srv.URL)
	o.Timeout, o.Sleep = 50*time.Millisecond, slept.sleep
	o.Retries.Tries = 1
	_, err := newClient(t, o).Status(t.Context(), "1")
	if err == nil || !strings.Contains(err.Error(), "no complete answer within 50ms") {
		t.Errorf("Status() = %v, want it to say how long was waited", err)
	}
	asked.Store(0)
	o.Retries.Tries = 100 // a busy machine may need more than one
	if _, err := newClient(t, o).Status(t.Context(), "1"); err != nil {
		t.Errorf("Status() with a second try = %v, want nil", err)
	}
}

// Uploads and results have the long timeout, everything else the short one; and no
// request outlives the call that made it.
func TestWhichTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last context.Context
		o := options("http://localhost")
		o.Timeout, o.UploadTimeout, o.Retries.Tries = time.Second, time.Hour, 1
		o.Around = over(roundTrip(func(r *http.Request) (*http.Response, error) {
			last = r.Context()
			select {
			case <-time.After(time.Minute):
				return canned{200, []byte(done)}.RoundTrip(r)
			case <-last.Done():
				return nil, context.Cause(last)
			}
		}))
		c := newClient(t, o)
		_, status := c.Status(t.Context(), "1")
		_, query := c.Query(t.Context(), submit.Query{Q: "q"})
		_, upload := c.Upload(t.Context(), submit.Upload{Object: "c", FileName: "f", File: strings.NewReader("")})
		if status == nil || query == nil || upload != nil {
			t.Errorf("after a minute Status() = %v, Query() = %v, Upload() = %v, want two timeouts and nil", status, query, upload)
		}
		rows, err := c.OpenResult(t.Context(), "1", "contact", "text/csv")
		if err != nil || last.Err() != nil {
			t.Fatalf("OpenResult() = %v, its request %v; want both alive", err, last.Err())
		}
		_ = rows.Close()
		if last.Err() == nil {
			t.Error("the request of a closed result is still alive")
		}
	})
}

// A connection that was kept may be dead without our knowing, and a POST written
// to it in doubt.
func TestPostHasAConnectionOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if before, known := seen[r.RemoteAddr]; known {
			t.Errorf("a %s came on the connection of a %s", r.Method, before)
		}
		seen[r.RemoteAddr] = r.Method
		_, _ = io.WriteString(w, done)
	})
	_, status := c.Status(t.Context(), "1")
	_, first := c.Query(t.Context(), submit.Query{Q: "q"})
	_, second := c.Query(t.Context(), submit.Query{Q: "q"})
	if status != nil || first != nil || second != nil || len(seen) != 3 {
		t.Errorf("got %v, %v, %v on %d connections, want nil on 3", status, first, second, len(seen))
	}
}

func TestUntrustedCertificateIsNotTriedAgain(t *testing.T) {
	srv := httptest.NewUnstartedServer(answering(200, done, nil))
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	defer srv.Close()
	var slept naps
	o := options(srv.URL)
	o.Sleep = slept.sleep
	if _, err := newClient(t, o).Status(t.Context(), "1"); err == nil || len(slept.taken) != 0 {
		t.Errorf("Status() = %v after %d waits, want an error after none", err, len(slept.taken))
	}
	o.Around = over(srv.Client().Transport)
	if _, err := newClient(t, o).Status(t.Context(), "1"); err != nil {
		t.Errorf("Status() with the certificate trusted = %v, want nil", err)
	}
}

func TestErrMayExistSaysHowToFindTheJob(t *testing.T) {
	for _, tc := range []struct{ name, answer string }{
		{"connection broken", ""},
		{"page instead of JSON", "<html>welcome</html>"},
		{"no id", `{"status":"CREATED"}`},
		{"id that is no id", `{"id":1.5,"status":"CREATED"}`},
		{"nothing", " "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if tc.answer == "" {
					hangUp(t, w)
					return
				}
				_, _ = io.WriteString(w, tc.answer)
			})
			_, err := c.Upload(t.Context(), submit.Upload{
				Object: "contact", FileName: "a.csv", File: strings.NewReader("a\n"), Size: 2, CallbackURL: callback,
			})
			if !errors.Is(err, submit.ErrMayExist) {
				t.Fatalf("Upload() = %v, want ErrMayExist", err)
			}
			if want := "`receiver jobs find --source demo` (GET /bulk/jobs)"; !strings.Contains(err.Error(), want) {
				t.Errorf("Upload() = %q, want it to say %q", err, want)
			}
			mustHide(t, "Upload's error", fmt.Sprint(err))
		})
	}
}
