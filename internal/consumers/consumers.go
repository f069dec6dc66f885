// Package consumers keeps who may read events from the embedded NATS server: for each
// consumer a file in the store's folder with its public key and the durables that are its own.
// The secret half is in the credentials that Add returns, and nowhere else.
package consumers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"receiver/internal/durable"
)

const (
	// Most is how many consumers a store may have.
	Most = 64
	// MostDurables is how many durables a consumer may have.
	MostDurables = 16

	subfolder = "consumers"
	suffix    = ".json"
	// largest is the size in bytes of a file that is read: sixteen names and a token fit well.
	largest = 64 << 10
)

var (
	// ErrExists means that there is a consumer of that name.
	ErrExists = errors.New("a consumer with this name exists")
	// ErrUnknown means that there is none.
	ErrUnknown = errors.New("no consumer has this name")
)

// Consumer is a program that may read events.
type Consumer struct {
	// Name is 1 to 32 of a-z 0-9 and -.
	Name string `json:"name"`
	// Key is the public half of its key: an nkey of a user, U….
	Key string `json:"key"`
	// Token is what its credentials file shows to the server: a JWT that tells the name and the
	// key, and gives no right by itself.
	Token string `json:"jwt"`
	// Durables are the consumers of the stream JOBS that it may take events from.
	Durables []string `json:"durables"`
	// Made is when it was added.
	Made time.Time `json:"made"`
}

var name = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// durableName is what NATS allows for a durable, less what a subject gives a meaning.
var durableName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check returns an error if a consumer may not have that name or these durables.
func Check(consumer string, durables []string) error {
	if !name.MatchString(consumer) {
		return fmt.Errorf("%q is not a valid name of a consumer: 1 to 32 of a-z 0-9 -, not beginning with -", consumer)
	}
	if len(durables) == 0 || len(durables) > MostDurables {
		return fmt.Errorf("a consumer has 1 to %d durables, not %d", MostDurables, len(durables))
	}
	for i, d := range durables {
		if !durableName.MatchString(d) {
			return fmt.Errorf("%q is not a valid name of a durable: 1 to 64 of A-Z a-z 0-9 _ -", d)
		}
		if slices.Contains(durables[:i], d) {
			return fmt.Errorf("durable %s is named twice", d)
		}
	}
	return nil
}

// Inbox is the prefix of the subjects on which a consumer is answered, and of all that it may
// subscribe to.
func Inbox(consumer string) string { return "_INBOX_" + consumer }

// free returns an error if Add would refuse the name or a durable. Two consumers never share one.
func free(folder, consumer string, durables []string) error {
	if err := Check(consumer, durables); err != nil {
		return err
	}
	all, _, err := list(folder)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(c Consumer) bool { return c.Name == consumer }) {
		return fmt.Errorf("%s: %w", consumer, ErrExists)
	}
	if len(all) >= Most {
		return fmt.Errorf("there are %d consumers, which is the maximum; remove one", len(all))
	}
	for _, c := range all {
		for _, d := range durables {
			if slices.Contains(c.Durables, d) {
				return fmt.Errorf("durable %s belongs to consumer %s", d, c.Name)
			}
		}
	}
	return nil
}

// Add admits a consumer to the store in folder and returns its credentials, as NATS clients read
// them from a .creds file. They cannot be made again. Hold Lock where others may add, too.
func Add(folder, consumer string, durables []string, now time.Time) (Consumer, []byte, error) {
	if err := free(folder, consumer, durables); err != nil {
		return Consumer{}, nil, err
	}
	c := Consumer{Name: consumer, Durables: durables, Made: now.UTC().Truncate(time.Second)}
	creds, err := c.credentials()
	if err != nil {
		return Consumer{}, nil, fmt.Errorf("making the credentials of consumer %s: %w", consumer, err)
	}
	if err := c.write(folder); err != nil {
		return Consumer{}, nil, fmt.Errorf("adding consumer %s: %w", consumer, err)
	}
	return c, creds, nil
}

// credentials makes a key and returns it as a credentials file. Such a file has a JWT in it,
// which an account signs; here what counts is that the store knows it, so the account's key is
// thrown away.
func (c *Consumer) credentials() ([]byte, error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	defer user.Wipe()
	account, err := nkeys.CreateAccount()
	if err != nil {
		return nil, err
	}
	defer account.Wipe()
	if c.Key, err = user.PublicKey(); err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(c.Key)
	claims.Name = c.Name
	if c.Token, err = claims.Encode(account); err != nil {
		return nil, err
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(c.Token, seed)
}

// write makes the file, whole or not at all, and never over another.
func (c *Consumer) write(folder string) error {
	dir := Folder(folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := durable.SyncFolder(folder); err != nil {
		return err
	}
	data, err := c.encode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link fails where there is something.
	if err := os.Link(f.Name(), filepath.Join(dir, c.Name+suffix)); errors.Is(err, os.ErrExist) {
		return ErrExists
	} else if err != nil {
		return err
	}
	return durable.SyncFolder(dir)
}

// Remove removes a consumer from the store in folder. Its credentials are invalid from then on.
func Remove(folder, consumer string) (Consumer, error) {
	if !name.MatchString(consumer) {
		return Consumer{}, fmt.Errorf("%q: %w", consumer, ErrUnknown)
	}
	path := filepath.Join(Folder(folder), consumer+suffix)
	c, err := read(path, consumer)
	if errors.Is(err, os.ErrNotExist) {
		return Consumer{}, fmt.Errorf("%s: %w", consumer, ErrUnknown)
	}
	// An unreadable file admits no client, and can be removed all the same.
	if err := os.Remove(path); err != nil {
		return Consumer{}, fmt.Errorf("removing consumer %s: %w", consumer, err)
	}
	c.Name = consumer
	return c, durable.SyncFolder(filepath.Dir(path))
}

// List returns the consumers of the store in folder, by name, and what is wrong with the files
// that are none: a server must not lock all out for the sake of one.
func List(folder string) ([]Consumer, error) {
	all, broken, err := list(folder)
	return all, errors.Join(err, broken)
}

// Folder is where the files are.
func Folder(store string) string { return filepath.Join(store, subfolder) }

func list(folder string) (all []Consumer, broken, err error) {
	dir := Folder(folder)
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("other users can write to %s, so every consumer is refused; run chmod 700 on it", dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the store's consumers: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("the store's consumers: %w", err)
	}
	for _, e := range entries {
		consumer, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || strings.HasPrefix(consumer, ".") {
			continue
		}
		c, err := read(filepath.Join(dir, e.Name()), consumer)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was removed meanwhile
		}
		if err != nil {
			broken = errors.Join(broken, refused(consumer, err))
			continue
		}
		all = append(all, c)
	}
	all, twice := distinct(all)
	return all, errors.Join(broken, twice), nil
}

func refused(consumer string, err error) error {
	return fmt.Errorf("consumer %q is refused: %w; remove it with `receiver consumers remove`", consumer, err)
}

// distinct leaves out each consumer that has the key or a durable of an earlier one, or that
// exceeds the limit.
func distinct(all []Consumer) (kept []Consumer, twice error) {
	slices.SortStableFunc(all, func(a, b Consumer) int { return a.Made.Compare(b.Made) })
	whose := map[string]string{}
	for _, c := range all {
		own := append([]string{c.Key}, c.Durables...)
		taken := slices.IndexFunc(own, func(s string) bool { return whose[s] != "" })
		switch {
		case taken == 0:
			twice = errors.Join(twice, refused(c.Name, fmt.Errorf("its key belongs to %s", whose[c.Key])))
		case taken > 0:
			twice = errors.Join(twice, refused(c.Name, fmt.Errorf("durable %s belongs to %s", own[taken], whose[own[taken]])))
		case len(kept) == Most:
			twice = errors.Join(twice, refused(c.Name, fmt.Errorf("there are %d others", Most)))
		default:
			kept = append(kept, c)
			for _, s := range own {
				whose[s] = c.Name
			}
		}
	}
	slices.SortFunc(kept, func(a, b Consumer) int { return strings.Compare(a.Name, b.Name) })
	return kept, twice
}

var errForeign = errors.New("its file was not written by `receiver consumers add`")

// read reads the file of a consumer. Nothing but what write wrote, to the byte, is one.
func read(path, consumer string) (Consumer, error) {
	// Neither a link to somewhere else nor what would keep us waiting.
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return Consumer{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return Consumer{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > largest {
		return Consumer{}, errForeign
	}
	if info.Mode().Perm()&0o022 != 0 {
		return Consumer{}, errors.New("other users can write to its file")
	}
	data, err := io.ReadAll(io.LimitReader(f, largest))
	if err != nil {
		return Consumer{}, err
	}
	return parse(data, consumer)
}

func parse(data []byte, consumer string) (Consumer, error) {
	var c Consumer
	if json.Unmarshal(data, &c) != nil {
		return Consumer{}, errForeign // what is wrong with it may be part of anything
	}
	same, err := c.encode()
	if err != nil || !bytes.Equal(same, data) || c.Name != consumer || !nkeys.IsValidPublicUserKey(c.Key) || c.Token == "" {
		return Consumer{}, errForeign
	}
	return c, Check(c.Name, c.Durables)
}

// encode is the content of the file.
func (c *Consumer) encode() ([]byte, error) {
	data, err := json.Marshal(c)
	return append(data, '\n'), err
}
