package storefolder

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

	"receiver/internal/durable"
)

// idFile holds the identity of a store, 32 hexadecimal digits, from its first start on.
const idFile = "receiver.id"

// ofStore starts a loss that concerns the store as a whole.
const ofStore = "store: "

// storeIdentity is which store a folder holds, and which one the file outside of it expects.
type storeIdentity struct {
	folder, file string
	have         string
	known        knownStore
}

// knownStore is the content of the file outside of the folder.
type knownStore struct {
	Store  string `json:"store"`
	Folder string `json:"folder"`
	// Note is a copy of the newest note of its streams, in case that is lost with the folder's
	// files.
	Note *storeNote `json:"note,omitempty"`
}

func (k knownStore) write(path string) error {
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'))
}

func readIdentity(e Store) (storeIdentity, error) {
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
		return i, fmt.Errorf("reading the identity of the known store: %w", err)
	}
	if len(text) == 0 {
		return i, nil
	}
	if err := json.Unmarshal(text, &i.known); err != nil || i.known.Store == "" {
		return i, fmt.Errorf("%s does not name the known store: restore the file, or remove it if %s is the right folder", i.file, i.folder)
	}
	return i, nil
}

// mismatch says why the folder does not hold the expected store; empty if it may.
func (i storeIdentity) mismatch() string {
	if i.known.Store == "" || i.have == i.known.Store {
		return ""
	}
	is := "contains the store " + i.have
	if i.have == "" {
		is = "contains no store with an identity"
		if names, err := streamNames(i.folder); err == nil && len(names) == 0 {
			is = "is empty"
		}
	}
	return fmt.Sprintf(ofStore+"%s %s, but %s names the store %s, last used in %s; mount or move that store back, or set nats.embedded.folder to its folder",
		i.folder, is, i.file, i.known.Store, i.known.Folder)
}

// record writes the identity of the store to both files, and makes one if there is none. A start
// continues if the file outside cannot be written: unknown says why it cannot.
func (i storeIdentity) record() (unknown, err error) {
	if i.have == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never returns an error
		i.have = hex.EncodeToString(id[:])
		if err := durable.WriteFile(filepath.Join(i.folder, idFile), []byte(i.have+"\n")); err != nil {
			return nil, fmt.Errorf("writing the identity of the store: %w", err)
		}
	}
	if i.file == "" || i.known.Store == i.have && i.known.Folder == i.folder {
		return nil, nil
	}
	now := knownStore{Store: i.have, Folder: i.folder}
	if i.known.Store == i.have {
		now.Note = i.known.Note
	}
	return now.write(i.file), nil
}
