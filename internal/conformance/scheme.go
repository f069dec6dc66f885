package conformance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strings"
)

// Scheme is how a sender signs: the HMAC-SHA-256 of the raw body in a header.
type Scheme struct {
	// Name is what it is chosen by.
	Name string
	// Header carries the signature; empty if it must be chosen.
	Header string
	// Label stands in front of the = before the MAC; empty for the MAC alone.
	Label string
	// Hex is true for hexadecimal, else it is padded standard base64.
	Hex bool
	// Sources is true if the last part of the address names a source, and an unknown one must
	// be answered as a wrong signature is.
	Sources bool
}

// Schemes are those that there are; the first is the platform's.
//
// OC: contract section 7, table (a) rows 23 to 25.
var Schemes = []Scheme{
	{Name: "open-connectors", Header: "Elements-Webhook-Signature", Label: "sha256", Sources: true},
	{Name: "github", Header: "X-Hub-Signature-256", Label: "sha256", Hex: true},
	{Name: "base64"},
	{Name: "hex", Hex: true},
}

// FindScheme returns the scheme of that name.
func FindScheme(name string) (Scheme, bool) {
	for _, s := range Schemes {
		if s.Name == name {
			return s, true
		}
	}
	return Scheme{}, false
}

// value is a header's value with a label and the text of a MAC.
func (s Scheme) value(label, mac string) string {
	if s.Label == "" {
		return mac
	}
	return label + "=" + mac
}

func (s Scheme) encode(mac []byte) string {
	if s.Hex {
		return hex.EncodeToString(mac)
	}
	return base64.StdEncoding.EncodeToString(mac)
}

// sign returns the right value of the header.
func (s Scheme) sign(key, body []byte) string {
	return s.value(s.Label, s.encode(mac(sha256.New, key, body)))
}

func mac(h func() hash.Hash, key, body []byte) []byte {
	m := hmac.New(h, key)
	m.Write(body)
	return m.Sum(nil)
}

// spellings are the texts by which an answer could give a MAC away.
func spellings(mac []byte) []string {
	return []string{
		base64.StdEncoding.EncodeToString(mac), base64.RawStdEncoding.EncodeToString(mac), base64.RawURLEncoding.EncodeToString(mac),
		hex.EncodeToString(mac), strings.ToUpper(hex.EncodeToString(mac)),
	}
}

// short is the beginning of a value, as it may be printed.
func short(value string) string {
	const most = 14
	if len(value) <= most {
		return value
	}
	return value[:most] + "…"
}
