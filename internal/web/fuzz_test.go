package web_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/callback"
	"receiver/internal/metrics"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// FuzzPublic gives the public listener requests byte by byte: nothing panics, and nothing but GET
// /healthz and a body with its right signature is answered 2xx.
func FuzzPublic(f *testing.F) {
	right := signature(demoKey, demoBody)
	for _, seed := range []string{
		fmt.Sprintf("POST /callbacks/demo HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", verify.Header, right, len(demoBody), demoBody),
		fmt.Sprintf("POST /callbacks/demo/token?q HTTP/1.0\r\n%s:\t%s \r\nTransfer-Encoding: chunked\r\n\r\n26\r\n%s\r\n0\r\nX: y\r\n\r\n", verify.Header, right, demoBody),
		fmt.Sprintf("POST /callbacks/demo HTTP/1.1\r\nHost: x\r\n%s: %s\r\n%[1]s: %[2]s\r\nContent-Length: 2000\r\n\r\n", verify.Header, right),
		"POST /callbacks/nobody HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\nX-Forwarded-For: 1.2.3.4, \x01\r\n\r\n",
		"POST /callbacks/%ff%0a HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n\r\n",
		"OPTIONS /callbacks/demo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		fmt.Sprintf("POST http://h//callbacks/demo/%%41/ HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", verify.Header, right, len(demoBody), demoBody),
		fmt.Sprintf("PUT /callbacks/demo/ HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: 1\r\n\r\n", verify.Header, right),
		"POST /hooks/callbacks/demo/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET /hooks/healthz/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	key, err := verify.NewKey("2026", []byte(demoKey), verify.Window{})
	if err != nil {
		f.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		f.Fatal(err)
	}
	r, err := callback.New(callback.Options{Store: takesAll{}, Sources: []callback.Source{{Name: "demo", Verifier: v}}})
	if err != nil {
		f.Fatal(err)
	}
	handler := web.NewPublic(web.Public{
		Receiver: r, BodyLimit: 1 << 10, Prefix: "/hooks", Retries: callback.NewRetryState(),
		TrustedProxies: nil, Metrics: metrics.New(nil), Log: zerolog.New(io.Discard),
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		request := func() (*http.Request, error) { return http.ReadRequest(bufio.NewReader(bytes.NewReader(raw))) }
		r, err := request()
		if err != nil {
			return // net/http answers these itself
		}
		r.RemoteAddr = "192.0.2.1:1234"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch {
		case w.Code < 200 || w.Code > 299:
			return
		case r.Method == http.MethodGet && strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/hooks") == "/healthz":
			return
		}
		again, err := request()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(again.Body)
		if err != nil || !v.Verify(again.Header.Values(verify.Header), body).Accepted() {
			t.Errorf("%q is answered %d without a right signature", raw, w.Code)
		}
	})
}
