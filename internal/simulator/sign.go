package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// sign makes the value of Elements-Webhook-Signature: the body's HMAC-SHA256 under the key's bytes,
// in standard base64 with padding. OC: (a) rows 23 to 25
func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
