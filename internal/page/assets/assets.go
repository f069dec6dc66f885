// Package assets has the files that the page refers to: styles, scripts and icons.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed css js third_party *.svg
var assetFiles embed.FS

// file is an asset as it is sent.
type file struct {
	mediaType, tag string
	bytes, gzip    []byte
}

// assets are all files that the page refers to, by name.
var assets = sync.OnceValue(func() map[string]file {
	all := map[string]file{
		"page.css": made("text/css; charset=utf-8", joined("css/*.css")),
		"page.js":  made("text/javascript; charset=utf-8", joined("js/*.js")),
		"htmx.js":  made("text/javascript; charset=utf-8", joined("third_party/htmx.org-*/htmx.min.js")),
	}
	icons, err := fs.Glob(assetFiles, "*.svg")
	if err != nil {
		panic(err)
	}
	for _, icon := range icons {
		all[path.Base(icon)] = made("image/svg+xml", joined(icon))
	}
	return all
})

// joined is the contents of all files that match a pattern, by name.
func joined(pattern string) []byte {
	names, err := fs.Glob(assetFiles, pattern)
	if err != nil {
		panic(err)
	}
	var all bytes.Buffer
	for _, name := range names {
		text, err := assetFiles.ReadFile(name)
		if err != nil {
			panic(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return all.Bytes()
}

func made(mediaType string, text []byte) file {
	sum := sha256.Sum256(text)
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(text); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return file{mediaType, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, text, small.Bytes()}
}

// Serve answers with the file that the path names. It needs no token: it is the same in every copy
// of the program.
func Serve(w http.ResponseWriter, r *http.Request) {
	f, there := assets()[r.PathValue("name")]
	if !there {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Cache-Control", "no-cache") // it is asked for by its tag
	h.Set("Vary", "Accept-Encoding")
	h.Set("Etag", f.tag)
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := f.bytes
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = f.gzip
	}
	_, _ = w.Write(text) // a browser that has gone needs it no more
}
