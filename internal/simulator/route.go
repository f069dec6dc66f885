package simulator

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// routes are the calls below Base, after /hubs/{hub} was taken off. OC: (a) rows 4 to 18
func (p *Platform) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /objects", p.getObjects)
	mux.HandleFunc("GET /objects/{object}/metadata", p.getMetadata)
	mux.HandleFunc("POST /bulk/{object}", p.postUpload)
	mux.HandleFunc("POST /bulk/query", p.postQuery)
	mux.HandleFunc("POST /bulk/download", p.postDownload)
	mux.HandleFunc("GET /bulk/jobs", p.getJobs)
	mux.HandleFunc("GET /bulk/{id}/status", p.aboutJob(p.getStatus))
	mux.HandleFunc("GET /bulk/{id}/errors", p.aboutJob(p.getErrors))
	mux.HandleFunc("GET /bulk/{id}/{object}", p.aboutJob(p.getResult))
	mux.HandleFunc("PUT /bulk/{id}/cancel", p.aboutJob(p.putCancel))
	mux.HandleFunc("GET "+deliveriesPath, p.getDeliveries)
	mux.HandleFunc("PUT "+deliveriesPath, p.putDeliveries)
	return mux
}

// ServeHTTP answers one API request: first as the platform's default faults have it, then as
// Authorization allows, then truly.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer hearOut(r)
	w.Header().Set("Server", Banner)
	p.mu.Lock()
	p.count(func(s *Stats) { s.Requests++ })
	p.mu.Unlock()
	if p.life.over() {
		p.refuse(w, http.StatusServiceUnavailable, "the platform is closed")
		return
	}
	p.pause(r, p.o.Faults.Slow)
	if p.befall(w, &p.left, p.o.Faults) {
		return
	}
	path, ok := p.below(r.URL.Path)
	if !ok {
		p.refuse(w, http.StatusNotFound, "no such resource")
		return
	}
	if !p.authorized(r.Header, strings.HasPrefix(path, "/notifications/")) {
		p.refuse(w, http.StatusUnauthorized, "Authorization must carry the Element token and the User secret")
		return
	}
	p.dispatch(w, r, path)
}

// hearOut reads what is still being sent: who is refused meanwhile would see a broken
// connection, not the answer. With Expect nothing was sent yet.
func hearOut(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 256<<10) // the answer is what counts
	}
}

// below takes Base and the hub off a path.
func (p *Platform) below(path string) (string, bool) {
	path, ok := strings.CutPrefix(path, Base)
	if rest, hub := strings.CutPrefix(path, "/hubs/"); hub {
		path, ok = strings.CutPrefix(rest, p.o.Hub)
	}
	return path, ok && strings.HasPrefix(path, "/")
}

func (p *Platform) dispatch(w http.ResponseWriter, r *http.Request, path string) {
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = path, ""
	if _, pattern := p.mux.Handler(inner); pattern != "" {
		p.mux.ServeHTTP(w, inner)
		return
	}
	// The mux knows whether it is the path or the method; only its plain text is not the
	// platform's.
	answer := &unwritten{header: http.Header{}}
	p.mux.ServeHTTP(answer, inner)
	if allow := answer.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
	}
	p.refuse(w, answer.code, strings.ToLower(http.StatusText(answer.code)))
}

// unwritten takes an answer's status and header and drops its body.
type unwritten struct {
	header http.Header
	code   int
}

func (u *unwritten) Header() http.Header         { return u.header }
func (u *unwritten) WriteHeader(code int)        { u.code = code }
func (u *unwritten) Write(b []byte) (int, error) { return len(b), nil }

// Credentials are what Authorization must carry.
type Credentials struct{ Element, User, Organization string }

// Credentials returns the platform's, made up or given.
func (p *Platform) Credentials() Credentials {
	return Credentials{p.o.Element, p.o.User, p.o.Organization}
}

// Authorization is the header value made of c. OC: (a) row 2
func (c Credentials) Authorization() string {
	value := "Element " + c.Element + ", User " + c.User
	if c.Organization != "" {
		value += ", Organization " + c.Organization
	}
	return value
}

// String hides the secrets.
func (c Credentials) String() string { return "[simulator credentials]" }

// GoString hides the secrets.
func (c Credentials) GoString() string { return c.String() }

// authorized compares every pair of the header, in any order. Calls to the platform rather than to
// the instance (notifications) may leave out the Element. OC: 1.2
func (p *Platform) authorized(h http.Header, platformCall bool) bool {
	want := map[string]string{"Element": p.o.Element, "User": p.o.User}
	if p.o.Organization != "" {
		want["Organization"] = p.o.Organization
	}
	var seen []string
	for pair := range strings.SplitSeq(h.Get("Authorization"), ",") {
		name, secret, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if expected, asked := want[name]; asked && secret != expected || slices.Contains(seen, name) {
			return false
		}
		seen = append(seen, name)
	}
	for name := range want {
		if !slices.Contains(seen, name) && !(platformCall && name == "Element") {
			return false
		}
	}
	return true
}
