package submit

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"strconv"
)

const (
	pageSize = 200    // the platform's own default
	maxPages = 10_000 // more is a platform that goes round in circles
)

// pages yields the bodies of a listing's pages, each fetched when it is asked for.
// OC: (a) row 15; the next page's cursor comes in a header, and none on the last.
func (c *Client) pages(ctx context.Context, k call) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if k.query == nil {
			k.query = url.Values{}
		}
		k.query.Set("pageSize", strconv.Itoa(pageSize))
		seen := map[string]bool{}
		for {
			a, err := c.fetch(ctx, k)
			if !yield(a.body, err) || err != nil {
				return
			}
			next := a.header.Get("Elements-Next-Page-Token")
			if next == "" {
				return
			}
			if seen[next] || len(seen) >= maxPages {
				yield(nil, unreadable(k, errors.New("the list of pages does not end")))
				return
			}
			seen[next] = true
			k.query.Set("nextPage", next)
		}
	}
}
