package simulator

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

var condition = regexp.MustCompile(`^\s*([A-Za-z_]+)\s*=\s*(?:'([^']*)'|([A-Za-z0-9_.-]+))\s*(?:(?i:and)\s|$)`)

// parseWhere reads "name='value' and name='value'", which is as much of the language as the
// contract shows.
// OC: 5.4, 6.4
func parseWhere(text string, known ...string) (map[string]string, error) {
	want := map[string]string{}
	for text != "" {
		m := condition.FindStringSubmatchIndex(text)
		if m == nil {
			return nil, fmt.Errorf("cannot read the where clause from %q on", text)
		}
		name := text[m[2]:m[3]]
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("cannot filter by %q", name)
		}
		if m[4] >= 0 {
			want[name] = text[m[4]:m[5]]
		} else {
			want[name] = text[m[6]:m[7]]
		}
		text = text[m[1]:]
	}
	return want, nil
}

// matches reports whether a row has all the values wanted.
func matches(want, row map[string]string) bool {
	for name, value := range want {
		if row[name] != value {
			return false
		}
	}
	return true
}

const defaultPage = 200 // OC: 5.3

// page cuts the page a request asks for out of total rows and sets the cursor headers; the last
// page has no token. OC: (a) row 15
func page(w http.ResponseWriter, r *http.Request, total int) (from, to int, err error) {
	size := defaultPage
	if text := r.URL.Query().Get("pageSize"); text != "" {
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > 5000 {
			return 0, 0, errors.New("pageSize must be from 1 to 5000")
		}
	}
	if token := r.URL.Query().Get("nextPage"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if from, _ = strconv.Atoi(string(raw)); err != nil || from < 1 || from > total {
			return 0, 0, errors.New("nextPage is not a token of this list")
		}
	}
	to = min(from+size, total)
	w.Header().Set("elements-returned-count", strconv.Itoa(to-from))
	if to < total {
		w.Header().Set("elements-next-page-token", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to))))
	}
	return from, to, nil
}
