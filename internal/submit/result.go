package submit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"receiver/internal/words"
)

// OpenResult asks for the rows of a finished job and returns them as a stream,
// which the caller must close; Options.UploadTimeout bounds the time until then.
// The Accept header must fit the format the job was started with, or the platform
// answers 400; for "application/json" it sends one of three shapes, see Normalise.
// OC: (a) row 16.
func (c *Client) OpenResult(ctx context.Context, id, object, accept string) (io.ReadCloser, error) {
	k, err := c.resultCall(id, object, accept)
	if err != nil {
		return nil, err
	}
	resp, err := c.open(ctx, k)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Result writes the rows of a finished job to w as they come, and returns how many
// bytes it wrote. It is as OpenResult; a stream that breaks is not asked for again,
// since w has its beginning already, and is an error whatever was written.
func (c *Client) Result(ctx context.Context, id, object, accept string, w io.Writer) (int64, error) {
	rows, err := c.OpenResult(ctx, id, object, accept)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n, err := io.Copy(w, rows)
	if err != nil {
		return n, fmt.Errorf("copying the result of job %q stopped after %s: %w", id, words.Count(n, "byte"), err)
	}
	return n, nil
}

func (c *Client) resultCall(id, object, accept string) (call, error) {
	if accept == "" {
		return call{}, errors.New("result needs a format: text/csv, application/json or application/jsonl")
	}
	path, err := c.jobPath(id, object)
	return call{
		method: http.MethodGet, path: path, timeout: c.uploadTimeout,
		header: http.Header{"Accept": {accept}},
	}, err
}
