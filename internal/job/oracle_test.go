package job_test

import (
	"bytes"
	"encoding/json"

	"receiver/internal/job"
)

// structure is what Read must say of a document's structure, found out in the
// slowest and plainest way: token by token with encoding/json. It returns nil for a
// document that it has nothing against.
func structure(body []byte) error {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	var first json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&first); err != nil || first[0] != '{' {
		return job.ErrNotJSON
	}
	if len(bytes.Trim(body[d.InputOffset():], " \t\r\n")) != 0 {
		return job.ErrTrailing
	}
	d = json.NewDecoder(bytes.NewReader(first))
	d.UseNumber()
	return value(d, 1)
}

func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth > job.MaxDepth {
		return job.ErrTooDeep
	}
	seen, twice := map[string]bool{}, false
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			twice = twice || seen[key.(string)]
			seen[key.(string)] = true
		}
		if err := value(d, depth+1); err != nil {
			return err
		}
	}
	if twice {
		return job.ErrDuplicateKey
	}
	_, err = d.Token()
	return err
}
