package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/access"
	"receiver/internal/page/inprocess"
)

// visit is one request of a browser.
type visit struct {
	p *Page
	w http.ResponseWriter
	r *http.Request
	// api asks the operations with the token of the browser.
	api *client.Client
	// holder is whose token it is, and what it opens.
	holder api.Token
	// token is the token itself; empty for a browser that needs none.
	token string
	// status is that of the answer; zero is 200.
	status int
	// health is how the receiver is, once it was asked.
	health *health
}

// open returns the visit of a request; it fails if the API does not take the browser's token.
func (p *Page) open(w http.ResponseWriter, r *http.Request) (*visit, error) {
	v := &visit{p: p, w: w, r: r}
	if cookie, err := r.Cookie(cookieName(r)); err == nil {
		v.token = cookie.Value
	}
	err := v.ask()
	if err == nil && v.holder.Name == "" {
		v.token = "" // none is needed, and a page that set the cookie must not know the CSRF token by it
	}
	return v, err
}

// ask asks the API whose token it is.
func (v *visit) ask() (err error) {
	b := inprocess.Backend{API: v.p.API, Outer: v.w, Request: v.r, Token: v.token, Log: v.p.Log}
	if v.api, err = client.NewClient("http://receiver", client.WithHTTPClient(b)); err != nil {
		return err
	}
	v.holder, err = client.Answer[api.Token](v.api.GetToken(v.r.Context()))
	return err
}

// May reports whether the browser's token has a scope.
func (v *visit) May(scope string) bool {
	return slices.Contains(v.holder.Scopes, access.Scope(scope))
}

// cookieName is the name of the cookie with the token. A browser sends the cookies of one host to
// all its ports, so the name has the port in it. With TLS the prefix has the browser refuse such a
// cookie from elsewhere.
func cookieName(r *http.Request) string {
	name := "receiver"
	if _, port, err := net.SplitHostPort(r.Host); err == nil && port != "" {
		name += "-" + port
	}
	if r.TLS != nil {
		return "__Host-" + name
	}
	return name
}

func setCookie(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{Name: cookieName(r), Value: token, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// CSRF is the token that each form which changes something carries. It is made of the browser's
// token, so every replica knows it, and nobody else can make it.
func (v *visit) CSRF() string {
	key := []byte(v.token)
	if v.token == "" {
		key = v.p.random
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("receiver: a form of the page"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formLimit bounds a form without a file, in bytes.
const formLimit = 64 << 10

var errForeignForm = errors.New("this form is not one of this page, or you have signed in anew since; load the page again")

// mayChange refuses a request that changes something unless it comes from a form of this page. The
// CSRF token is in the field csrf. The view of the form with a file, that of /submit, reads the
// field by itself and calls genuine.
func (p *Page) mayChange(v *visit) error {
	if err := p.sites.Check(v.r); err != nil {
		return api.OtherSite.Problem("%v", errForeignForm)
	}
	if strings.HasPrefix(v.r.URL.Path, "/submit") && strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/form-data") {
		return nil
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, formLimit)
	return v.genuine(v.r.PostFormValue("csrf"))
}

// genuine returns an error unless a CSRF token is that of this browser.
func (v *visit) genuine(given string) error {
	if !hmac.Equal([]byte(given), []byte(v.CSRF())) {
		return api.OtherSite.Problem("%v", errForeignForm)
	}
	return nil
}

// signIn shows the form for the token.
func (p *Page) signIn(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	v := &visit{p: p, w: w, r: r}
	if err := v.show("signin", "Sign in", signIn{Next: local(r.URL.Query().Get("next"))}); err != nil {
		v.fail(err)
	}
}

// signIn is what the form shows.
type signIn struct {
	Next, Error string
}

// signedIn takes the token of the form, and keeps it in the cookie if the API takes it.
func (p *Page) signedIn(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	v := &visit{p: p, w: w, r: r}
	if err := p.sites.Check(r); err != nil {
		v.fail(api.OtherSite.Problem("%v", errForeignForm))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, formLimit)
	v.token = strings.TrimSpace(r.PostFormValue("token"))
	next := local(r.PostFormValue("next"))
	err := v.ask()
	if err == nil && v.token == "" && v.holder.Name != "" {
		err = api.Unauthorized.Problem("paste a token")
	}
	if err == nil {
		if v.token != "" {
			setCookie(w, r, v.token)
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	v.token, v.status = "", http.StatusUnauthorized
	said := "This is no valid token."
	if known := new(api.Problem); errors.As(err, &known) && known.Status != http.StatusUnauthorized {
		said, v.status = known.Error(), known.Status
	}
	if err := v.show("signin", "Sign in", signIn{Next: next, Error: said}); err != nil {
		p.Log.Debug().Err(err).Msg("sending an answer failed")
	}
}

// signOut has the browser forget the token.
func (p *Page) signOut(v *visit) error {
	setCookie(v.w, v.r, "")
	http.Redirect(v.w, v.r, "/signin", http.StatusSeeOther)
	return nil
}

// local returns an address within the page; the first view for any other.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.ContainsRune(address, '\\') {
		return "/"
	}
	made := u.String() // its path may be escaped anew, and then begin with slashes that were none
	if !strings.HasPrefix(made, "/") || strings.HasPrefix(made, "//") {
		return "/"
	}
	return made
}
