package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Kept is what a run leaves for one after a restart. It holds no key and no signature.
type Kept struct {
	URL   string `json:"url"`
	Body  string `json:"body"`
	First string `json:"first"`
	Again string `json:"again"`
}

// ReadKept reads the file of a run against url before a restart; it returns nil if there is none.
func ReadKept(path, url string) (*Kept, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var k *Kept
	if err := json.Unmarshal(text, &k); err != nil || k == nil || k.Body == "" {
		return nil, fmt.Errorf("%s is not a file of receiver conformance; remove it, or name another", path)
	}
	if k.URL != url {
		return nil, fmt.Errorf("%s belongs to a run against %q; remove it to begin another run", path, k.URL)
	}
	return k, nil
}

// Write writes the file that ReadKept reads.
func (k *Kept) Write(path string) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
