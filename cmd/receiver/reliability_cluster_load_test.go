//go:build e2e

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// clusterLoad is a platform that calls back for one unique job after the other, from
// several sides, and repeats each at the next receiver until it is answered 200.
type clusterLoad struct {
	t      *testing.T
	urls   []string
	client *http.Client

	mu       sync.Mutex
	sent     map[string]bool
	acked    int
	answered []answered

	finish chan struct{} // closed when no new job is to be begun
	wg     sync.WaitGroup
}

// answered is one callback that was answered; code 0 means by a broken connection.
type answered struct {
	code     int
	retry    string // Retry-After
	url      string
	sent, at time.Time
}

const (
	loadSides = 8
	// repeatAfter is scaled: the platform waits for minutes.
	repeatAfter = 100 * time.Millisecond
)

// pourAt begins the load on receivers.
func pourAt(t *testing.T, receivers ...*replica) *clusterLoad {
	t.Helper()
	var doors []string
	for _, r := range receivers {
		doors = append(doors, r.public)
	}
	return pourInto(t, doors...)
}

// pourInto begins it on whatever has these public addresses.
func pourInto(t *testing.T, doors ...string) *clusterLoad {
	t.Helper()
	l := &clusterLoad{
		t: t, sent: map[string]bool{}, finish: make(chan struct{}),
		client: &http.Client{Timeout: waitTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: loadSides}},
	}
	for _, door := range doors {
		l.urls = append(l.urls, door+"/callbacks/demo")
	}
	for side := range loadSides {
		l.wg.Go(func() { l.pour(side) })
	}
	return l
}

func (l *clusterLoad) pour(side int) {
	// The pace keeps the machine, not the receivers, out of the picture.
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.finish:
			return
		case <-l.t.Context().Done():
			return
		case <-pace.C:
		}
		id := fmt.Sprintf("%d-%d", side, n)
		l.mu.Lock()
		l.sent[id] = true
		l.mu.Unlock()
		for try := 0; !l.call(l.urls[(side+n+try)%len(l.urls)], id); try++ {
			select {
			case <-time.After(repeatAfter):
			case <-l.t.Context().Done():
				return
			}
		}
	}
}

// call calls back once, and reports whether that was answered 200.
func (l *clusterLoad) call(url, id string) bool {
	a := answered{url: url, sent: time.Now()}
	body := fmt.Appendf(nil, `{"id":%q,"status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`, id)
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return true
	}
	r.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
	if got, err := l.client.Do(r); err == nil {
		a.code, a.retry = got.StatusCode, got.Header.Get("Retry-After")
		_, _ = io.Copy(io.Discard, got.Body) // so that the connection is used again
		_ = got.Body.Close()
	}
	a.at = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = append(l.answered, a)
	if a.code == http.StatusOK {
		l.acked++
	}
	return a.code == http.StatusOK
}

// more waits until so many more callbacks were answered 200.
func (l *clusterLoad) more(c *natsCluster, n int) {
	l.t.Helper()
	l.mu.Lock()
	want := l.acked + n
	l.mu.Unlock()
	c.until(fmt.Sprintf("%d more callbacks are answered 200", n), func(context.Context) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.acked >= want
	})
}

// since waits for the first answer with this code from url, any if empty, to a callback
// sent after a moment.
func (l *clusterLoad) since(c *natsCluster, moment time.Time, code int, url string) answered {
	l.t.Helper()
	var found answered
	c.until(fmt.Sprintf("a callback is answered %d", code), func(context.Context) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, a := range l.answered {
			if a.code == code && a.sent.After(moment) && (url == "" || a.url == url) {
				found = a
				return true
			}
		}
		return false
	})
	return found
}

// recovery is how long after a moment the first callback sent since was answered 200.
func (l *clusterLoad) recovery(c *natsCluster, moment time.Time, url string) time.Duration {
	l.t.Helper()
	return l.since(c, moment, http.StatusOK, url).at.Sub(moment)
}

// silence is the longest time since a moment in which no callback was answered 200.
func (l *clusterLoad) silence(moment time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest, last := time.Duration(0), moment
	for _, a := range l.answered { // in the order of their answers
		if a.code == http.StatusOK && a.at.After(last) {
			longest, last = max(longest, a.at.Sub(last)), a.at
		}
	}
	return longest
}

// judge ends the load, holds the stream to what was answered, and prints the run's row.
func (l *clusterLoad) judge(c *natsCluster, fault string, recovery time.Duration) {
	l.t.Helper()
	close(l.finish)
	l.wg.Wait()
	c.ready()
	c.copied("JOBS")
	got := c.finished()
	doubled := 0
	for _, n := range got {
		if n > 1 {
			doubled++
		}
	}
	codes := map[int]int{}
	for _, a := range l.answered {
		codes[a.code]++
		if a.code/100 == 4 {
			l.t.Errorf("an authentic callback was answered %d", a.code)
		}
		if a.code == http.StatusServiceUnavailable && a.retry == "" {
			l.t.Error("a callback was answered 503 without Retry-After")
		}
	}
	eachOnce(l.t, got, l.sent)
	l.t.Logf("answers by code: %v", codes)
	fmt.Fprintf(l.t.Output(), "| %s | `%s` | %d | %d | %d | %d | %.1f s |\n",
		fault, l.t.Name(), l.acked, len(got), doubled, codes[http.StatusServiceUnavailable], recovery.Seconds())
}
