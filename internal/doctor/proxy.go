package doctor

import (
	"net/http"
	"net/url"
)

// Proxy names the proxy of the environment by which the platform of a source is called, without
// its credentials; nothing where there is none. find is http.ProxyFromEnvironment.
func Proxy(source, baseURL string, find func(*http.Request) (*url.URL, error)) []Finding {
	to, err := url.Parse(baseURL)
	if err != nil {
		return nil // the configuration was checked
	}
	proxy, err := find(&http.Request{URL: to})
	switch {
	case err != nil:
		return []Finding{{
			Severity: Error, What: "source " + source + ": HTTPS_PROXY or HTTP_PROXY is not the address of a proxy", // err repeats its credentials
			Why: "the platform cannot be called", Change: "HTTPS_PROXY=http://host:port in the environment of the receiver",
		}}
	case proxy == nil:
		return nil
	}
	return []Finding{{What: "source " + source + ": " + to.Host + " is called through the proxy " + proxy.Scheme + "://" + proxy.Host + " of the environment (HTTPS_PROXY; NO_PROXY names hosts to call directly)"}}
}
