package callback

import (
	"net/url"
	"path"
	"strings"
)

// Address returns the address at which the platform calls a source back, below the public
// listener's base; with tokens it is that of one grant alone.
func Address(base string, tokens *Tokens, g Grant) string {
	address := base + "/callbacks/" + g.Source
	if tokens == nil {
		return address
	}
	return address + "/" + tokens.Make(g)
}

// IsAddress reports whether a callback address is one of the source: below the listener's base
// or, if none is configured, with the path of one.
func IsAddress(address, base, source string) bool {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return false
	}
	path := "/callbacks/" + source
	rest := ""
	if base != "" {
		var below bool
		if rest, below = strings.CutPrefix(address, base+path); !below {
			return false
		}
	} else if _, after, found := strings.Cut(u.Path, path); found {
		rest = after
	} else {
		return false
	}
	return rest == "" || strings.ContainsAny(rest[:1], "/?#")
}

// ReadAddress returns the grant of the token at the end of a source's callback address, and
// whether there is one that Make made.
func (t *Tokens) ReadAddress(source, address string) (Grant, bool) {
	if !strings.Contains(address, "/callbacks/"+source+"/") {
		return Grant{}, false
	}
	return t.Read(source, path.Base(address))
}
