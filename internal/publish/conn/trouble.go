package conn

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DialTimeout bounds the attempt to reach one server.
const DialTimeout = 2 * time.Second

// RequestTimeout bounds one question: a cluster that changes its leader may never answer it,
// and does the next.
const RequestTimeout = 2 * time.Second

// openTimeout is the default timeout for each stream; that of a callback is shorter. Three servers
// that just began take their time over a new stream.
const openTimeout = 10 * time.Second

// troublePause is how long a cluster is left alone that has trouble of its own with a
// stream, as one has that began a moment ago: no leader yet, or no folder.
const troublePause = 200 * time.Millisecond

// Answers of JetStream with the code of a wrong request, though the request is right: too few
// servers of the cluster are there, or they are being changed.
const (
	noPeers      jetstream.ErrorCode = 10005
	memberChange jetstream.ErrorCode = 10202
)

// NotReady reports whether an answer of JetStream says that the cluster cannot do yet, or is too
// busy for, a request that is right: the same request works later.
func NotReady(said *jetstream.APIError) bool {
	return said.Code == http.StatusServiceUnavailable || said.Code == http.StatusTooManyRequests ||
		said.ErrorCode == noPeers || said.ErrorCode == memberChange
}

// inTrouble reports whether an error says that the trouble is the cluster's, and that nothing was
// stored. A server that does not know yet of a stream on another one reports that there are no
// responders.
func inTrouble(err error) bool {
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return true
	}
	var said *jetstream.APIError
	return errors.As(err, &said) && (said.Code >= 500 || NotReady(said))
}

// Retry does something again for as long as the cluster is in trouble, until ctx is done;
// without a deadline for openTimeout, or Options.Timeout if that is longer.
func Retry[T any](ctx context.Context, o Options, do func(context.Context) (T, error)) (T, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(openTimeout, o.Timeout))
		defer cancel()
	}
	v, err := do(ctx)
	for inTrouble(err) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(troublePause):
			if now, problem := do(ctx); ctx.Err() == nil { // or what it said first says more
				v, err = now, problem
			}
		}
	}
	return v, err
}

// Sleep returns after d, or with an error as soon as ctx is done.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
