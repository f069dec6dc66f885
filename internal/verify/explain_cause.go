package verify

import (
	"slices"
	"strings"
)

// cause is one difference between what should have been signed and sent and what was.
type cause struct {
	code string
	// detail stands for the %s of the clause.
	detail string
}

// clause is the cause as a part of a sentence.
func (c cause) clause() string { return strings.Replace(known[c.code].clause, "%s", c.detail, 1) }

// words say what a code means: a clause that can stand in a list, and what to do next.
type words struct{ clause, next string }

// Codes returns the codes of single causes, sorted.
func Codes() []string {
	codes := make([]string, 0, len(known))
	for code := range known {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// What to do is often the same.
const (
	nextEncode = "Send `sha256=` and the padded standard base64 of the 32 bytes of the HMAC, which is what the platform sends."
	nextSender = "Mend it where the signature is made: at the platform it is the value of event.notification.signature.key that counts, byte for byte."
	nextOurs   = "Mend the configured key: its bytes must be those of event.notification.signature.key. A key file loses exactly one line feed at its end, and nothing else."
	nextWrite  = " `receiver config check` says how to write such a file."
	nextDecode = "The characters of the key are the key: use them as they are, without decoding or encoding them."
	nextWay    = "Find what changes the body between the platform and the receiver (a proxy, a gateway, an editor, a script) and let it pass the bytes as they are, as `curl --data-binary` does."
	nextHash   = "Use HMAC-SHA-256 with the signature key, over the raw body."
)

// known has the words of every code.
var known = map[string]words{
	"accepted": {"nothing is wrong: %s made this signature over exactly this body",
		"The receiver accepts it. If it refused it, then because its keys or the bytes it got were others than these."},
	"unexplained": {"none of the usual mistakes explains this signature",
		"Compare the key at the platform (event.notification.signature.key) with the configured one, and ask who sent this: most likely the key is another, or it is not the platform."},

	// The header's text.
	"signature_missing": {"there is no " + Header + " header, or it has no value",
		"Set event.notification.signature.key at the platform: without a key it signs nothing. If it is set, look for a proxy that drops the header."},
	"signature_several_headers": {"there are several " + Header + " headers",
		"Find the client or proxy that adds a second one; the receiver wants exactly one."},
	"signature_comma_list": {"the value is a list with commas, as proxies make of repeated headers",
		"Find what adds the second value; the receiver wants exactly one."},
	"signature_header_name": {"the header's name stands in the value once more",
		"Make the value what follows the colon, `sha256=…`."},
	"signature_quoted": {"the value stands in quotes", "Leave the quotes away."},
	"signature_white_space": {"there are line ends or other white space in the value or around it",
		"Leave them away; encoders that break lines, and files that end in a line feed, bring them."},
	"signature_no_scheme": {"`sha256=` is missing in front of the value", nextEncode},
	"signature_scheme":    {"what stands in front of the value is not `sha256=`", nextEncode},
	"signature_hex":       {"the value is in hexadecimal, not in base64", nextEncode},
	"signature_url_safe":  {"the value is in the URL-safe base64, with - and _ in place of + and /", nextEncode},
	"signature_unpadded":  {"the base64 of the value is not padded with = as it should be", nextEncode},
	"signature_plus_lost": {"there are spaces in the value where its base64 has +",
		"Find what takes the header for part of a URL or a form and decodes it."},
	"signature_escaped": {"characters of the value are escaped with %, as in a URL",
		"Find what takes the header for part of a URL or a form and encodes it."},
	"signature_base64_of_hex": {"the value is the base64 of a hexadecimal text, not of bytes", nextEncode},
	"signature_not_canonical": {"the last character of the base64 has bits that belong to nothing",
		"Let a standard encoder make the base64; the value was typed, cut or changed."},
	"signature_not_base64": {"the value is neither base64 nor hexadecimal", nextEncode},
	"signature_length":     {"the value holds %s bytes, where an HMAC-SHA-256 has 32", "The value was cut, or is no HMAC-SHA-256. " + nextHash},
	"signature_sha1":       {"the value has the length of a SHA-1, which the platform gave up in 2016", nextHash},
	"signature_sha512":     {"the value has the length of a SHA-512", nextHash},
	"signature_of_earlier": {"the same signature came before, with another body: %s",
		"If both are from the platform, the body was changed on its way: compare the two. Else somebody tries an old signature on a new body, and the refusal is right."},

	// The hash.
	"hash_without_key":   {"it is a plain hash of the body, with no key in it", nextHash},
	"hash_of_key_body":   {"it is a plain hash of key and body, one after the other, and no HMAC", nextHash},
	"hash_of_body_key":   {"it is a plain hash of body and key, one after the other, and no HMAC", nextHash},
	"hash_key_exchanged": {"key and body have changed places in the HMAC", nextHash},

	// The key.
	"key_of_other": {"that key is configured, but not for this source",
		"Add the key to the source, or correct the source in the callback's address."},
	"key_empty":          {"the sender's key is empty", nextSender},
	"key_newline":        {"the sender's key has a line feed at its end", nextSender},
	"key_crlf":           {"the sender's key has a carriage return and line feed at its end", nextSender},
	"key_spaces":         {"the sender's key has white space around it", nextSender},
	"key_quoted":         {"the sender's key has quotes around it", nextSender},
	"key_bom":            {"the sender's key begins with a byte order mark", nextSender},
	"key_utf16":          {"the sender's key is in UTF-16", nextSender},
	"key_cut":            {"the sender's key is only the first 128 characters, which is all that the platform can store", "Choose a shorter key, here and at the platform."},
	"key_latin1":         {"the sender takes the characters of the key in Latin-1, not in UTF-8", "Choose a key of ASCII characters, here and at the platform."},
	"key_hex_case":       {"the sender's key has the other case in its hexadecimal digits", nextSender},
	"key_base64_decoded": {"the sender decodes the key from base64", nextDecode},
	"key_base64_encoded": {"the sender's key is the base64 of the configured one", nextDecode},
	"key_hex_decoded":    {"the sender decodes the key from hexadecimal", nextDecode},
	"key_hex_encoded":    {"the sender's key is the hexadecimal of the configured one", nextDecode},
	"key_trimmed":        {"the configured key has white space or line ends around it that the sender's has not", nextOurs},
	"key_unquoted":       {"the configured key has quotes around it that the sender's has not", nextOurs + nextWrite},
	"key_without_bom":    {"the configured key begins with a byte order mark that the sender's has not", nextOurs + nextWrite},
	"key_without_utf16":  {"the configured key is in UTF-16, as PowerShell's > writes it, and the sender's is not", nextOurs + nextWrite},
	"key_without_nul":    {"the configured key holds NUL bytes that the sender's has not", nextOurs + nextWrite},

	// The body.
	"body_crlf":            {"the body was signed with line ends of CR LF, and has others now", nextWay},
	"body_lf":              {"the body was signed with line ends of LF, and has CR LF now", nextWay},
	"body_newline_removed": {"the body was signed with a line end at its end that it has no more", nextWay},
	"body_newline_added":   {"the body was signed without the line end that it has at its end now", nextWay},
	"body_space_added":     {"the body was signed without the white space around it", nextWay},
	"body_bom_removed":     {"the body was signed with a byte order mark that it has no more", nextWay},
	"body_bom_added":       {"the body was signed without the byte order mark that it begins with now", nextWay},
	"body_compressed": {"the body is compressed by gzip",
		"Let nothing compress the body on its way; the receiver does not unpack, since the bytes as received are what is signed."},
	"body_uncompressed": {"the body was signed compressed by gzip, and is not compressed now", nextWay},
	"body_base64":       {"the body is the base64 of what was signed", "Gateways do this to bodies they take for binary: have it send the bytes themselves."},
	"body_json": {"the body was signed as the same JSON written otherwise (%s)",
		"Something reads the JSON and writes it again, before the body is signed or on its way: sign and send the same bytes."},
	"body_truncated": {"the body is only the beginning of the one of %s",
		"Look for a limit or a broken connection between the platform and the receiver."},
	"body_extended": {"the body is the one of %s with something added at its end", nextWay},
	"body_of_earlier": {"it was made over another body, the one of %s",
		"Signature and body do not belong together: they were mixed up, or the body was changed, or somebody tries an old signature on a new body."},
	"body_incomplete": {"the body is JSON that ends too early",
		"Look for a limit or a broken connection between the platform and the receiver."},
}
