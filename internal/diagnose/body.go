package diagnose

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"iter"
)

// The bounds of what is made of a body.
const (
	// maxJSON is the largest body that is written again as JSON.
	maxJSON = 256 << 10
	// maxPacked and maxUnpacked are the largest bodies, uncompressed, that are
	// compressed and unpacked. There are bodies of which a gzip takes three seconds for
	// each MiB.
	maxPacked   = 64 << 10
	maxUnpacked = 8 << 20
)

// bodyMistakes gives the bodies that may have been signed before a common mistake changed them to
// this one. It repeats nothing that after, the mistake that led to the body, covers. It pays for
// its work by spend, and stops when that returns false.
func bodyMistakes(b []byte, after string, spend func(work int) bool) iter.Seq[mistake] {
	return func(yield func(mistake) bool) {
		if !spend(len(b)) {
			return
		}
		for _, m := range lineMistakes(b) {
			if !bytes.Equal(m.data, b) && !yield(m) {
				return
			}
		}
		if isGzip(b) {
			data, size := unpack(b)
			if !spend(unpackCost*size) || data != nil && !yield(mistake{cause{code: "body_compressed"}, data}) {
				return
			}
		}
		if data, err := base64.StdEncoding.DecodeString(string(b)); err == nil && len(data) > 0 {
			if !yield(mistake{cause{code: "body_base64"}, data}) {
				return
			}
		}
		if after == "body_json" {
			return
		}
		for m := range rewritten(b, spend) {
			if !yield(m) {
				return
			}
		}
	}
}

// packings are a body compressed. Other compressors give other bytes; of those only a copy
// could tell.
func packings(b []byte) []mistake {
	if isGzip(b) || len(b) > maxPacked {
		return nil
	}
	var all []mistake
	for _, level := range []int{gzip.DefaultCompression, gzip.BestSpeed, gzip.BestCompression} {
		all = append(all, mistake{cause{code: "body_uncompressed"}, pack(b, level)})
	}
	return all
}

// lineMistakes undo what happens to line ends and at both ends of a text.
func lineMistakes(b []byte) []mistake {
	lf := bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	after := func(end string) []byte { return append(b[:len(b):len(b)], end...) }
	all := []mistake{
		{cause{code: "body_newline_removed"}, after("\n")},
		{cause{code: "body_newline_removed"}, after("\r\n")},
		{cause{code: "body_newline_added"}, bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))},
		{cause{code: "body_lf"}, lf},
		{cause{code: "body_crlf"}, bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))},
		{cause{code: "body_space_added"}, bytes.TrimSpace(b)},
	}
	if plain, ok := bytes.CutPrefix(b, []byte(bom)); ok {
		return append(all, mistake{cause{code: "body_bom_added"}, plain})
	}
	return append(all, mistake{cause{code: "body_bom_removed"}, append([]byte(bom), b...)})
}

// relation says what an earlier body is to the one in question; its code is empty if
// there is nothing to say.
func relation(body []byte, e Earlier) cause {
	switch {
	case bytes.Equal(e.Body, body):
		return cause{}
	case len(body) > 0 && bytes.HasPrefix(e.Body, body):
		return cause{"body_truncated", e.Label}
	case len(e.Body) > 0 && bytes.HasPrefix(body, e.Body):
		return cause{"body_extended", e.Label}
	}
	return cause{"body_of_earlier", e.Label}
}

// endsEarly reports whether b is the beginning of a JSON object or array.
func endsEarly(b []byte) bool {
	if text := bytes.TrimSpace(b); len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var v json.RawMessage
	return errors.Is(d.Decode(&v), io.ErrUnexpectedEOF)
}

func isGzip(b []byte) bool { return bytes.HasPrefix(b, []byte{0x1f, 0x8b, 8}) }

// unpack returns no data if b is no gzip, or too large when unpacked. Size is how much was
// unpacked to find that out.
func unpack(b []byte) (data []byte, size int) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, 0
	}
	data, err = io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if size = len(data); err != nil || size > maxUnpacked {
		data = nil
	}
	return data, size
}

func pack(b []byte, level int) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil // only an unknown level is an error
	}
	// A buffer takes everything.
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}
