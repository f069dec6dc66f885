package submit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// maxAnswer bounds a JSON answer. OC: section 1.4, 8 MB for what is not a file.
const maxAnswer = 8 << 20

// call is one request to the platform, described so that it can be made anew.
type call struct {
	method  string
	path    string // below the base URL, already escaped
	query   url.Values
	header  http.Header
	body    func() (body io.Reader, size int64) // nil: none; size -1: unknown
	timeout time.Duration
	secrets []string // what no error may repeat, besides the client's own
}

// repeatable reports whether making k twice does what making it once does.
func (k call) repeatable() bool { return k.method != http.MethodPost }

// answer is a 2xx whose body has been read whole.
type answer struct {
	header http.Header
	body   []byte
}

// fetch makes k, as often as is safe, and reads the answer.
func (c *Client) fetch(ctx context.Context, k call) (answer, error) {
	return retry(ctx, c, k, func() (answer, error) {
		resp, err := c.try(ctx, k)
		if err != nil {
			return answer{}, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err != nil {
			return answer{}, c.broken(k, true, fmt.Errorf("reading the answer: %w", err))
		}
		if len(body) > maxAnswer {
			return answer{}, unreadable(k, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20))
		}
		return answer{resp.Header, body}, nil
	})
}

// open makes k, as often as is safe, and leaves the answer's body to the caller,
// who must close it. A body that breaks is not asked for again.
func (c *Client) open(ctx context.Context, k call) (*http.Response, error) {
	return retry(ctx, c, k, func() (*http.Response, error) { return c.try(ctx, k) })
}

// try makes k once. The error is a *brokenError or an *Error. The deadline of k
// runs until the body of the response is closed.
func (c *Client) try(ctx context.Context, k call) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, k.timeout, fmt.Errorf("no complete answer within %v", k.timeout))
	var sent atomic.Bool // from the moment a connection is there, a byte may have gone
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }}
	req, err := c.request(httptrace.WithClientTrace(ctx, trace), k)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := c.clientFor(k).Do(req)
	if err != nil {
		cancel()
		return nil, c.broken(k, sent.Load(), err)
	}
	resp.Body = &cancelling{resp.Body, cancel}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refused(k, resp)
}

func (c *Client) clientFor(k call) *http.Client {
	if k.repeatable() {
		return c.reading
	}
	return c.creating
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s: the address cannot be written as a URL", k.method, k.path)
	}
	if k.body != nil {
		body, size := k.body()
		req.Body, req.ContentLength = io.NopCloser(body), size
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", c.userAgent)
	c.authorize(req.Header)
	return req, nil
}

// cancelling ends its request's context when the body is closed.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *cancelling) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// segment escapes a name or id from outside as one part of a path.
func segment(what, s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", InputError(fmt.Sprintf("%s %q is not a valid name of the platform", what, s))
	}
	return url.PathEscape(s), nil
}

// jobPath is the path of one thing the platform holds of a job: "status",
// "errors", "cancel", or the name of the object whose rows they are.
func (c *Client) jobPath(id, thing string) (string, error) {
	id, err := segment("job id", id)
	if err != nil {
		return "", err
	}
	thing, err = segment("object", thing)
	return c.hub + "/bulk/" + id + "/" + thing, err
}
