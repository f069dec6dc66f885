package doctor_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"receiver/internal/doctor"
)

func TestProxyIsNamedWithoutItsCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		proxy string
		err   error
		want  string
	}{
		{"", nil, ""},
		{"http://user:hunter2@proxy.example.com:3128/x?hunter2", nil, "through the proxy http://proxy.example.com:3128 of"},
		{"", errors.New("invalid proxy address http://user:hunter2@:x"), "is not the address of a proxy"},
	} {
		found := doctor.Proxy("crm", "https://api.example.com/v2", func(r *http.Request) (*url.URL, error) {
			if r.URL.Host != "api.example.com" || tt.proxy == "" {
				return nil, tt.err
			}
			return url.Parse(tt.proxy)
		})
		var said string
		for _, f := range found {
			said += f.What + f.Why + f.Change
		}
		if !strings.Contains(said, tt.want) || strings.Contains(said, "hunter2") || strings.Contains(said, "user") || tt.want == "" && said != "" {
			t.Errorf("%+v: %q", tt, said)
		}
	}
}
