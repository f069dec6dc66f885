package anchor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/durable"
)

// ID tells a place from others, whatever it is called in a log. Changing it makes a new place.
type ID struct {
	Kind  string `json:"kind"` // folder, account or witness
	Where string `json:"where"`
}

// Receipt is what a place received of one log.
type Receipt struct {
	ID
	Log  string    `json:"log"` // the origin
	Size int64     `json:"size"`
	Root tlog.Hash `json:"root"`
	Time time.Time `json:"time"`
}

// String names the place, for people.
func (i ID) String() string { return i.Kind + " " + i.Where }

// maxReceipts bounds how much of a file of receipts is read.
const maxReceipts = 4 << 20

// ReadReceipts returns what is in a file of receipts: one JSON object a line. That there is no
// file is fs.ErrNotExist.
func ReadReceipts(path string) ([]Receipt, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the receipts of anchors: %w", err)
	}
	if len(data) > maxReceipts {
		return nil, fmt.Errorf("reading the receipts of anchors: %s has more than %d bytes", path, maxReceipts)
	}
	all := []Receipt{}
	for line := range bytes.Lines(data) {
		var r Receipt
		if err := json.Unmarshal(line, &r); err != nil || r.Log == "" || r.Size < 0 {
			return nil, fmt.Errorf("reading the receipts of anchors: %s, line %d is no receipt (%v); put back the file", path, len(all)+1, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// Receipts are what the places of one process received. They are kept in a file, so that a place
// that has less later is found out. Its methods may be called concurrently, but only one process
// may write a file.
type Receipts struct {
	mu     sync.Mutex
	path   string
	places []ID
	rows   []Receipt
	lost   error // why the file cannot be read
}

// CreateReceipts makes an empty file of receipts.
func CreateReceipts(path string) error {
	if err := durable.WriteFile(path, nil); err != nil {
		return fmt.Errorf("making the file of receipts of anchors: %w", err)
	}
	return nil
}

// OpenReceipts reads the file of receipts. Those of other than these places are left out of it
// when it is next written. Without a file that can be read, Of returns why until there is one.
func OpenReceipts(path string, places ...ID) *Receipts {
	r := &Receipts{path: path, places: places}
	r.load()
	return r
}

func (r *Receipts) load() {
	rows, err := ReadReceipts(r.path)
	if r.lost = nil; err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: put back the file, or make an empty one if the anchors may forget", err)
		}
		r.lost = fmt.Errorf("%w: %w", ErrForgotten, err)
		return
	}
	r.rows = slices.DeleteFunc(rows, func(row Receipt) bool { return !slices.Contains(r.places, row.ID) })
}

// Of returns what a place received of a log; of size 0 if nothing. The error is ErrForgotten, if
// the file is gone or cannot be read.
func (r *Receipts) Of(id ID, origin string) (Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		r.load()
	}
	if i := r.index(id, origin); i >= 0 {
		return r.rows[i], r.lost
	}
	return Receipt{ID: id, Log: origin}, r.lost
}

func (r *Receipts) index(id ID, origin string) int {
	return slices.IndexFunc(r.rows, func(row Receipt) bool { return row.ID == id && row.Log == origin })
}

// Told keeps that a place has taken a checkpoint, and returns when that is on disk.
func (r *Receipts) Told(id ID, cp audit.Checkpoint, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		return r.lost
	}
	row := Receipt{ID: id, Log: cp.Origin, Size: cp.Tree.N, Root: cp.Tree.Hash, Time: now.UTC()}
	rows := slices.Clone(r.rows)
	switch i := r.index(id, cp.Origin); {
	case i < 0:
		rows = append(rows, row)
	case rows[i].Size >= row.Size:
		return nil
	default:
		rows[i] = row
	}
	var data bytes.Buffer
	for _, row := range rows {
		if err := json.NewEncoder(&data).Encode(row); err != nil {
			return fmt.Errorf("keeping the receipt of an anchor: %w", err)
		}
	}
	if err := durable.WriteFile(r.path, data.Bytes()); err != nil {
		return fmt.Errorf("keeping the receipt of an anchor: %w", err)
	}
	r.rows = rows
	return nil
}
