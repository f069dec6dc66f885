package submit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
)

// form is a multipart/form-data body whose file, if it has one, is read while it is sent: the parts
// before and after it are small and made beforehand, so the length is known whenever the file's is.
type form struct {
	contentType   string
	before, after []byte
	file          *source // nil: none
}

// newForm holds the part metaData only.
func newForm(metadata []byte) form {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	closeForm(w, metadata)
	return form{contentType: w.FormDataContentType(), before: b.Bytes()}
}

// newFileForm holds the part file and, unless it is nil, the part metaData, in the
// order in which the vendor's own test-suite sends them. OC: (a) row 5.
func newFileForm(name string, file *source, metadata []byte) form {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	// Writing to a bytes.Buffer cannot fail, here and in closeForm.
	_, _ = w.CreateFormFile("file", name)
	before := bytes.Clone(b.Bytes())
	b.Reset()
	closeForm(w, metadata)
	return form{w.FormDataContentType(), before, b.Bytes(), file}
}

func closeForm(w *multipart.Writer, metadata []byte) {
	if metadata != nil {
		_ = w.WriteField("metaData", string(metadata))
	}
	_ = w.Close()
}

// body is the form as it is sent, and its size in bytes or -1.
func (f form) body() (io.Reader, int64) {
	size := int64(len(f.before) + len(f.after))
	if f.file == nil {
		return bytes.NewReader(f.before), size
	}
	if f.file.size < 0 {
		size = -1
	} else {
		size += f.file.size
	}
	return io.MultiReader(bytes.NewReader(f.before), f.file, bytes.NewReader(f.after)), size
}

// form makes f the body of k.
func (k *call) form(f form) {
	if k.header == nil {
		k.header = http.Header{}
	}
	k.header.Set("Content-Type", f.contentType)
	k.body = f.body
}

// mergeMetadata returns what the part metaData holds, nil when it is not sent.
// OC: section 3, the key callback-payload.
func mergeMetadata(metadata, payload json.RawMessage) ([]byte, error) {
	if len(metadata) == 0 && len(payload) == 0 {
		return nil, nil
	}
	merged := map[string]json.RawMessage{}
	if len(metadata) > 0 {
		if err := json.Unmarshal(metadata, &merged); err != nil || merged == nil {
			return nil, InputError(fmt.Sprintf("metadata must be a JSON object: %v", cmp.Or(err, errors.New("it is null"))))
		}
	}
	if len(payload) == 0 {
		return metadata, nil
	}
	if !json.Valid(payload) {
		return nil, InputError("callback payload is not JSON")
	}
	if _, twice := merged["callback-payload"]; twice {
		return nil, InputError(`metadata has a key "callback-payload" and a callback payload is given too: give one of them`)
	}
	merged["callback-payload"] = payload
	return json.Marshal(merged)
}
