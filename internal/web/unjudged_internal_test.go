package web

import (
	"net/http"
	"strings"
	"testing"
)

// For any Content-Encoding: a coding that changes the body is found at any place and in any
// spelling, and a word that is no coding changes nothing.
func FuzzEncoded(f *testing.F) {
	for _, seed := range []string{"", "utf-8", "gzip", "identity, br", "\"gzip\";q=1", ",;,", "GZIP\t"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		ask := func(values ...string) bool {
			return encoded(&http.Request{Header: http.Header{"Content-Encoding": values}})
		}
		alone := ask(value)
		if ask(value, "utf-8") != alone || ask("identity, "+value) != alone || ask(value+",binary") != alone {
			t.Errorf("%q is encoded: %v, and with words that are no codings it is not so", value, alone)
		}
		if !ask(value, "gzip") || !ask("zstd", value) || !ask(value+",BR") || !ask("x-gzip,"+value) {
			t.Errorf("%q hides a coding beside it", value)
		}
		if isASCII := strings.IndexFunc(value, func(r rune) bool { return r > '~' }) < 0; isASCII && ask(strings.ToUpper(value)) != alone {
			t.Errorf("%q is encoded: %v, and in capitals it is not so", value, alone)
		}
	})
}
