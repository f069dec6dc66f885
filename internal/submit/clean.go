package submit

import (
	"context"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode"

	"receiver/internal/job"
)

const (
	maxShown  = 1 << 10 // bytes of foreign text shown in an error
	minSecret = 8       // shorter text is no secret, and hiding it would garble words
	minToken  = 16      // shorter parts of a callback URL are names
)

// cleaner returns what makes text from outside fit for an error: secrets hidden,
// on one line, printable and short. Secrets are those of the client and of the call,
// and the tokens of callback addresses, which the platform may quote whatever it is
// asked: a question after a job does not know that job's.
func (c *Client) cleaner(k call) func(string) string {
	var pairs []string
	for _, s := range append(c.secrets(), k.secrets...) {
		if len(s) < minSecret {
			continue
		}
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s), strings.ReplaceAll(s, "/", `\/`)} {
			pairs = append(pairs, form, "[hidden]")
		}
	}
	hide := strings.NewReplacer(pairs...)
	return func(s string) string { return printable(redacted(hide.Replace(s))) }
}

// redacted replaces what grants something in the callback addresses of a text. It is of 64 KiB
// at most, so no context is needed to end it.
func redacted(s string) string {
	clean, _, _ := job.Redact(context.Background(), []byte(s))
	return string(clean)
}

// callbackSecrets are the parts of a callback URL that no error may repeat: the
// whole of it, and whatever in it is long enough to be a token.
func callbackSecrets(callback string) []string {
	secrets := []string{callback}
	u, err := url.Parse(callback)
	if err != nil {
		return secrets
	}
	password, _ := u.User.Password()
	secrets = append(secrets, u.RawQuery, password)
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if len(part) >= minToken {
			secrets = append(secrets, part)
		}
	}
	return secrets
}

// printable escapes what a terminal might obey and cuts what is too long.
func printable(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(s), " ") {
		if b.Len() > maxShown {
			b.WriteString("…")
			break
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
