package page

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/page/assets"
)

// Options are what a page needs.
type Options struct {
	// API answers the operations of api/openapi.yaml, and every request that is none of the page's.
	API http.Handler
	// Visit returns a context whose requests with one token count as one for the token's rate. Nil
	// counts each.
	Visit func(context.Context) context.Context
	Log   zerolog.Logger
}

// Page is the handler of the private listener: the page, with the API behind it.
type Page struct {
	Options
	random []byte // keys the CSRF tokens of browsers without a token
	// exported is how many records an export has at most.
	exported int
	sites    *http.CrossOriginProtection
	mux      *http.ServeMux
}

// New returns a page.
func New(o Options) *Page {
	p := &Page{Options: o, random: []byte(rand.Text()), exported: mostExported, sites: http.NewCrossOriginProtection(), mux: http.NewServeMux()}
	for pattern, view := range p.routes() {
		p.mux.HandleFunc(pattern, p.answer(view))
	}
	p.mux.HandleFunc("GET /assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		assets.Serve(w, r)
	})
	p.mux.HandleFunc("GET "+checkerPath, checker)
	p.mux.HandleFunc("GET /live", p.live)
	p.mux.HandleFunc("GET /signin", p.signIn)
	p.mux.HandleFunc("POST /signin", p.signedIn)
	p.mux.HandleFunc("/", p.elsewhere)
	return p
}

// routes are the views by their pattern. Those of POST change something: their request must carry
// the CSRF token of its form.
func (p *Page) routes() map[string]view {
	return map[string]view{
		"GET /{$}":                                    p.overview,
		"GET /forwarding":                             p.forwarding,
		"GET /forwarding/{sink}":                      p.forwarding,
		"POST /forwarding/{sink}/replay":              p.replaySink,
		"GET /traffic":                                p.traffic,
		"GET /traffic/{minute}":                       p.trafficMinute,
		"GET /evidence":                               p.evidence,
		"POST /evidence/check":                        p.verifyLogs,
		"GET /evidence/{stream}":                      p.checkpoints,
		"GET /evidence/{stream}/{sequence}":           p.certificate,
		"GET /evidence/{stream}/{sequence}/bundle":    p.proofFile,
		"GET /evidence/{stream}/{sequence}/report":    p.proofFile,
		"POST /signout":                               p.signOut,
		"GET /jobs":                                   p.jobs,
		"GET /jobs/{source}/{job}":                    p.job,
		"GET /jobs/{source}/{job}/result":             p.jobResult,
		"POST /jobs/{source}/{job}/{action}":          p.jobAction,
		"GET /check":                                  p.check,
		"GET /submit":                                 p.submitting,
		"POST /submit":                                p.submit,
		"POST /submit/check":                          p.checkFile,
		"GET /submit/{source}/{submission}":           p.submission,
		"GET /callbacks":                              p.callbacks,
		"GET /callbacks/export":                       p.exportCallbacks,
		"GET /callbacks/{stream}/{sequence}":          p.callback,
		"GET /callbacks/{stream}/{sequence}/body":     p.callbackBody,
		"POST /callbacks/{stream}/{sequence}/explain": p.explainCallback,
		"GET /actions":                                p.actions,
		"GET /runbooks/{name}":                        p.runbook,
		"GET /sources/{source}":                       p.keys,
	}
}

// view answers one request. An error becomes a page that says what is wrong.
type view func(v *visit) error

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if tidy(r.URL.EscapedPath()) {
		p.mux.ServeHTTP(w, r)
		return
	}
	p.elsewhere(w, r)
}

// tidy reports whether http.ServeMux takes an address as it is. It redirects any other by itself,
// without the headers of secure, and without the API, which counts callbacks astray.
func tidy(escaped string) bool {
	cleaned := path.Clean("/" + escaped)
	return escaped == cleaned || cleaned != "/" && escaped == cleaned+"/"
}

// elsewhere hands a request to the API, which answers all that is none of the page's. A person who
// mistypes an address gets a page.
func (p *Page) elsewhere(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") || operations()[first] {
		p.API.ServeHTTP(w, r)
		return
	}
	p.answer(func(*visit) error { return api.NoSuchPath.Problem("there is nothing at this address") })(w, r)
}

// operations are the first parts of the paths of the API's operations.
var operations = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, o := range api.Operations() {
		first, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
		all[first] = true
	}
	return all
})

// answer makes a handler of a view.
func (p *Page) answer(show view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p.Visit != nil {
			r = r.WithContext(p.Visit(r.Context()))
		}
		secure(w.Header())
		v, err := p.open(w, r)
		if err == nil && r.Method == http.MethodPost {
			err = p.mayChange(v)
		}
		if err == nil {
			err = show(v)
		}
		if errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler) // the beginning of a file must not look like the whole
		}
		if err != nil {
			v.fail(err)
		}
	}
}

// secure sets the headers of every answer of the page.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// overview is the first view: how the receiver is. A browser whose token does not open it is sent
// to the first that it opens.
func (p *Page) overview(v *visit) error {
	if open := v.Nav(); open[0].Path != "/" {
		return v.back(open[0].Path)
	}
	return v.show("overview", "Overview", nil, "sources", "traffic")
}
