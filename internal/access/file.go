package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"receiver/internal/durable"
)

// maxFile bounds the file of tokens: a hundred take a quarter of it.
const maxFile = 256 << 10

// file is the form of the file.
type file struct {
	Tokens []Token `json:"tokens"`
}

// ReadFile reads the tokens of a file. Without a file there are none, and found is false.
func ReadFile(path string) (tokens []Token, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, fmt.Errorf("the token file cannot be read: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, true, errors.Join(fmt.Errorf("the token file %s is not a regular file", path), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, true, fmt.Errorf("the token file cannot be read: %w", err)
	}
	tokens, err = Parse(data)
	if err != nil {
		return nil, true, fmt.Errorf("the token file %s: %w", path, err)
	}
	return tokens, true, nil
}

// Parse reads what is in a file of tokens. Its errors repeat no digest.
func Parse(data []byte) ([]Token, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var f file
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf(`is not {"tokens":[…]} as "receiver tokens add" writes it: %w`, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has data after its object")
	}
	return f.Tokens, check(f.Tokens)
}

// Format returns the content of a file with these tokens, for Parse.
func Format(tokens []Token) ([]byte, error) {
	if tokens == nil {
		tokens = []Token{} // a file without tokens still asks for one
	}
	data, err := json.MarshalIndent(file{tokens}, "", "  ")
	return append(data, '\n'), err
}

// Add writes one more token into a file, which is made if there is none. Its name must be free.
func Add(path string, token Token) error {
	return change(path, func(all []Token) ([]Token, error) {
		if slices.ContainsFunc(all, func(t Token) bool { return t.Name == token.Name }) {
			return nil, fmt.Errorf("token %q exists; remove it first with `receiver tokens remove %s`, or use another name", token.Name, token.Name)
		}
		return append(all, token), nil
	})
}

// Remove takes the token of that name out of a file.
func Remove(path, name string) error {
	return change(path, func(all []Token) ([]Token, error) {
		var there []string
		for _, t := range all {
			there = append(there, t.Name)
		}
		if !slices.Contains(there, name) {
			return nil, fmt.Errorf("no token %q in %s; its tokens: %s", name, path, strings.Join(there, ", "))
		}
		return slices.DeleteFunc(all, func(t Token) bool { return t.Name == name }), nil
	})
}

// change replaces the tokens of a file by what edit makes of them, whole and at once, for
// its owner alone. Two changes at the same time come one after the other.
func change(path string, edit func([]Token) ([]Token, error)) error {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("locking the token file: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	tokens, _, err := ReadFile(path)
	if err != nil {
		return err
	}
	if tokens, err = edit(tokens); err != nil {
		return err
	}
	if err := check(tokens); err != nil {
		return err
	}
	data, err := Format(tokens)
	if err != nil {
		return err
	}
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to // a link stays, and leads to the new file
	}
	if err := durable.WriteFile(path, data); err != nil {
		return fmt.Errorf("writing the token file: %w", err)
	}
	return nil
}
