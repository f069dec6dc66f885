package client

import (
	"context"
	"net/http"
	"strings"
)

// dotMark stands before an id of dots until the address of its request is made. No id has one.
const dotMark = "\x01"

// PathID returns the id of a job as the requests of a Client take it, and what completes each of
// them: an id of dots would be taken for a direction in the path, and another operation asked.
func PathID(id string) (string, RequestEditorFn) {
	if strings.Trim(id, ".") != "" {
		return id, func(context.Context, *http.Request) error { return nil }
	}
	return dotMark + id, func(_ context.Context, r *http.Request) error {
		r.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "/%01.", "/%2E")
		r.URL.Path = strings.ReplaceAll(r.URL.Path, "/"+dotMark, "/")
		return nil
	}
}
