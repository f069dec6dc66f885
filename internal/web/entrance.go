package web

import (
	"net/http"
	"net/url"
	"strings"

	"receiver/internal/job"
)

// entrance gives requests the paths that there are routes for: without the prefix that a
// proxy passed on, and without one slash at the end, which proxies and people add.
func entrance(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, raw := routed(prefix, r.URL.Path), routed(prefix, r.URL.RawPath)
		cut := len(r.URL.Path) - len(path)
		// The removed prefix must have come unescaped.
		if cut > 0 && (raw == "" || len(r.URL.RawPath)-len(raw) == cut) {
			u := *r.URL
			u.Path, u.RawPath = path, raw
			r = r.WithContext(r.Context()) // a copy
			r.URL = &u
		}
		next.ServeHTTP(w, r)
	})
}

func routed(prefix, path string) string {
	if rest, ok := strings.CutPrefix(path, prefix); ok && strings.HasPrefix(rest, "/") {
		path = rest
	}
	if len(path) > 1 && strings.HasSuffix(path, "/") && !strings.HasSuffix(path, "//") {
		path = path[:len(path)-1]
	}
	return path
}

// plausible reports whether a part of an address may be meant for the name of a source, and
// is not a token, a path with its slashes escaped, or anything else.
func plausible(source string) bool {
	odd := strings.IndexFunc(source, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~", r)
	})
	return source != "" && len(source) <= 32 && odd < 0
}

// sourceIn returns the source that a path seems to be meant for.
func sourceIn(path string) string {
	_, behind, _ := strings.Cut(strings.ToLower(path), "/callbacks/")
	source, _, _ := strings.Cut(strings.TrimLeft(behind, "/"), "/")
	return source
}

// maxPart is the longest part of a path that is recorded as it is: longer ones may be tokens.
const maxPart = 23

// maxSecrets is how many parts of a path that may be tokens, each in two spellings, are sought
// in headers.
const maxSecrets = 8

// shownPath returns the path of a request as it may be recorded and logged, escaped, and what
// must not be: parts that are as long as a token are given by fingerprint.
func shownPath(r *http.Request) (shown string, secrets []string) {
	u, err := url.ParseRequestURI(r.RequestURI) // as it came
	if err != nil {
		u = r.URL
	}
	parts := strings.Split(u.EscapedPath(), "/")
	for i, part := range parts {
		if len(part) <= maxPart {
			continue
		}
		if len(secrets) > maxSecrets { // of no address of ours: the rest is not looked at
			return strings.Join(parts[:i], "/") + "/...", secrets
		}
		secret := part
		if plain, err := url.PathUnescape(part); err == nil {
			secret = plain
		}
		secrets = append(secrets, part, secret)
		parts[i] = job.Fingerprint([]byte(secret))
	}
	return strings.Join(parts, "/"), secrets
}
