package remote

import (
	"context"
	"io"
	"iter"
	"net/http"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/auditlog"
)

// mostCallbacks is the most entries of one page.
const mostCallbacks = 1000

// Older returns how many records are older than those that are listed by default.
func (r *Receiver) Older(ctx context.Context, actions bool) (api.OlderRecords, error) {
	one := 1
	p := &api.ListCallbacksParams{Actions: actions, Limit: &one}
	page, err := answer[api.CallbackPage](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListCallbacks(ctx, p) })
	return page.Older, err
}

// Callbacks yields received and refused callbacks, page by page.
func (r *Receiver) Callbacks(ctx context.Context, p api.ListCallbacksParams) iter.Seq2[auditlog.Entry, error] {
	limit := mostCallbacks
	p.Limit = &limit
	return func(yield func(auditlog.Entry, error) bool) {
		for {
			page, err := answer[api.CallbackPage](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListCallbacks(ctx, &p) })
			if err != nil {
				yield(auditlog.Entry{}, err)
				return
			}
			for _, e := range page.Callbacks {
				if !yield(e, nil) {
					return
				}
			}
			if p.After = page.Next; p.After == "" {
				return
			}
		}
	}
}

// Callback returns one record with everything about it.
func (r *Receiver) Callback(ctx context.Context, stream string, sequence uint64) (*auditlog.Detail, error) {
	d, err := answer[auditlog.Detail](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.GetCallback(ctx, stream, sequence, nil) })
	if d.Raw = d.Base64; d.Raw == nil {
		d.Raw = []byte(d.Text)
	}
	return &d, err
}

// Bundle returns the evidence bundle of one record, byte for byte.
func (r *Receiver) Bundle(ctx context.Context, stream string, sequence uint64) ([]byte, error) {
	body, err := client.Body(r.c.GetBundle(ctx, stream, sequence))
	if err != nil {
		return nil, told(err)
	}
	defer body.Close()
	return io.ReadAll(body)
}
