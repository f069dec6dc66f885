// Package checkpage is a checker of evidence bundles for a browser: one HTML file that works
// offline, from a disk, and says what `receiver audit check` says.
//
// It is a third implementation of docs/evidence.md, in JavaScript, and shares no code with package
// audit. The tests with the tag `browser` run both on the same bundles.
package checkpage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"sync"
)

// Name is the name of the file.
const Name = "receiver-check.html"

//go:embed check.html check.css js/*.js
var parts embed.FS

// scripts are the parts of the script, in their order: each uses those before it.
var scripts = []string{"bytes", "json", "time", "note", "bundle", "record", "check", "page"}

var page = sync.OnceValue(func() (p struct {
	html   []byte
	policy string
}) {
	var script strings.Builder
	script.WriteString("\"use strict\";\n(() => {\n")
	for _, name := range scripts {
		script.WriteString(part("js/" + name + ".js"))
	}
	script.WriteString("})();\n")
	style := part("check.css")
	p.policy = "default-src 'none'; script-src " + source(script.String()) + "; style-src " + source(style) + "; base-uri 'none'; form-action 'none'"
	p.html = []byte(strings.NewReplacer("{policy}", p.policy, "{style}", style, "{script}", script.String()).Replace(part("check.html")))
	return p
})

// Page returns the file: the same bytes each time.
func Page() []byte { return bytes.Clone(page().html) }

// Policy returns the content security policy that the file states itself: its script and its style,
// and no request at all.
func Policy() string { return page().policy }

// SHA256 returns the digest of the file in hexadecimal, for a reader who compares it.
func SHA256() string {
	sum := sha256.Sum256(page().html)
	return hex.EncodeToString(sum[:])
}

// source names an inline script or style in a policy.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func part(name string) string {
	data, err := parts.ReadFile(name)
	if err != nil {
		panic("checkpage: " + err.Error()) // it is embedded
	}
	return string(data)
}
