package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"receiver/internal/job"
)

// maxHeaderJSON bounds what is recorded of a request's headers.
const maxHeaderJSON = 8 << 10

// secretHeaders are recorded by fingerprint only.
var secretHeaders = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// headerJSON returns the headers as received as one JSON object in ASCII, names
// sorted, secrets replaced by fingerprints. Headers beyond the bound are left out whole
// and the object says so, since half a header proves nothing.
func headerJSON(r *http.Request) string {
	h := r.Header.Clone()
	h["Host"] = []string{r.Host}
	for _, name := range secretHeaders {
		for i, v := range h[name] {
			sum := sha256.Sum256([]byte(v))
			h[name][i] = "sha256:" + hex.EncodeToString(sum[:4])
		}
	}
	data, err := json.Marshal(h)
	if err != nil || len(data) > maxHeaderJSON {
		return `{"omitted":["headers over the bound for records"]}`
	}
	return job.ASCIIJSON(data)
}
