package publish

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// idFile holds the identity of a store, 32 hexadecimal digits, from its first start on.
const idFile = "receiver.id"

// ofStore begins what is said of the store as a whole.
const ofStore = "store: "

// storeIdentity is which store a folder holds, and which one is known outside of it.
type storeIdentity struct {
	folder, file string
	have         string
	known        knownStore
}

// knownStore is what stands in the file outside of the folder.
type knownStore struct {
	Store  string `json:"store"`
	Folder string `json:"folder"`
}

func readIdentity(e Embedded) (storeIdentity, error) {
	i := storeIdentity{folder: e.Folder, file: e.IdentityFile}
	text, err := os.ReadFile(filepath.Join(i.folder, idFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return i, fmt.Errorf("reading the identity of the store: %w", err)
	}
	i.have = strings.TrimSpace(string(text))
	if i.file == "" {
		return i, nil
	}
	text, err = os.ReadFile(i.file)
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err != nil {
		return i, fmt.Errorf("reading which store is known: %w", err)
	}
	if len(text) == 0 {
		return i, nil
	}
	if err := json.Unmarshal(text, &i.known); err != nil || i.known.Store == "" {
		return i, fmt.Errorf("%s does not say which store is known, though this program wrote it: restore it, or remove it if %s is the right folder", i.file, i.folder)
	}
	return i, nil
}

// foreign says why the folder does not hold the known store; empty if it may.
func (i storeIdentity) foreign() string {
	if i.known.Store == "" || i.have == i.known.Store {
		return ""
	}
	is := "holds the store " + i.have
	if i.have == "" {
		is = "holds no store with an identity"
		if names, err := streamNames(i.folder); err == nil && len(names) == 0 {
			is = "is empty"
		}
	}
	return fmt.Sprintf(ofStore+"%s %s, and %s knows the store %s, last used in %s; mount or move it back, or set nats.embedded.folder to where it is",
		i.folder, is, i.file, i.known.Store, i.known.Folder)
}

// settle has both places know the store in the folder, and gives it an identity if it has
// none. That the one outside cannot
// be written is no reason not to start: unknown says why.
func (i storeIdentity) settle() (unknown, err error) {
	if i.have == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never returns an error
		i.have = hex.EncodeToString(id[:])
		if err := replaceFile(filepath.Join(i.folder, idFile), []byte(i.have+"\n")); err != nil {
			return nil, fmt.Errorf("writing the identity of the store: %w", err)
		}
	}
	now := knownStore{i.have, i.folder}
	if i.file == "" || i.known == now {
		return nil, nil
	}
	data, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	return replaceFile(i.file, append(data, '\n')), nil
}
