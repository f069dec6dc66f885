package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNotChecked is what a Reverify func returns for a record it cannot judge: one without a
// signature, or whose key is no longer configured. It is counted, and no fault.
var ErrNotChecked = errors.New("record has no signature that can be checked")

// Kind says what is wrong. docs/evidence.md tells what each means and what to do.
type Kind string

// The kinds of faults. The first six are about one sequence each.
const (
	Changed    Kind = "changed"     // the record is not the one that was sealed
	Missing    Kind = "missing"     // a sealed record is gone
	Extra      Kind = "extra"       // a record stands where none was sealed
	Reordered  Kind = "reordered"   // the record was sealed at another sequence, or is read out of order
	Unsealed   Kind = "unsealed"    // a record behind the last checkpoint that should be sealed by now
	BadHMAC    Kind = "hmac"        // Reverify refused the record
	Unreadable Kind = "unreadable"  // the place where the records are kept is damaged
	BadTile    Kind = "tile"        // a stored tile is missing, malformed or wrong
	BadNote    Kind = "checkpoint"  // malformed, or not signed by a configured key
	RolledBack Kind = "rolled_back" // the stored checkpoint is older than one signed before
	Abandoned  Kind = "abandoned"   // a log that is no longer continued, and nothing says why
	Forked     Kind = "fork"        // a signed checkpoint is of another history
	Forgotten  Kind = "forgotten"   // a place has less than this receiver told it
	BadRoot    Kind = "root"        // neither records nor tiles reproduce the checkpoint's root
	Misdated   Kind = "time"        // a time of the record contradicts the records before it, or itself
	Gone       Kind = "absent"      // sealed as absent, though nothing but a removal explains it
)

// Fault is one thing that is wrong. The detail is for people; it quotes no record.
type Fault struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"sequence,omitempty"` // 0 when it is about no single record
	Kind   Kind   `json:"kind"`
	Detail string `json:"detail"`
}

// String returns the fault on one line.
func (f Fault) String() string {
	if f.Seq == 0 {
		return fmt.Sprintf("%s: %s: %s", f.Stream, f.Kind, f.Detail)
	}
	return fmt.Sprintf("%s/%d: %s: %s", f.Stream, f.Seq, f.Kind, f.Detail)
}

// Kept is a signed checkpoint and the place it was found in, for the report.
type Kept struct {
	Where string
	Note  []byte
	// Time is when that place says it took it; zero if it does not say. Nothing seals it, so
	// a verification compares it with the records that the checkpoint covers.
	Time time.Time
}

// Report is what a verification found.
type Report struct {
	Origin string `json:"origin"`
	// Archive names the archive among several; empty for one alone and for a store.
	Archive string `json:"archive,omitempty"`
	Size    int64  `json:"size"` // leaves of the checkpoint everything was compared with
	Root    string `json:"root"` // its root hash, base64

	// Proved is true if the leaves reproduce the root of a checkpoint that a log key signed:
	// only then do the counts below rest on more than the store's own word.
	Proved bool `json:"proved"`

	From        uint64 `json:"from"`        // the sequences that were asked to be there;
	To          uint64 `json:"to"`          // To is less than From when there are none
	Records     int64  `json:"records"`     // read, hashed and found as sealed
	Absent      int64  `json:"absent"`      // sealed as absent: gone before they were sealed
	Outside     int64  `json:"outside"`     // leaves outside From..To without a record: only hashes remain
	Unsealed    int64  `json:"unsealed"`    // behind the checkpoint, and younger than SealedBy
	Reverified  int64  `json:"reverified"`  // for which Reverify returned nil
	NotChecked  int64  `json:"not_checked"` // for which it returned ErrNotChecked
	Checkpoints int    `json:"checkpoints"` // distinct ones whose signature holds

	Keys []string `json:"keys"` // that signed them, sorted

	Faults  []Fault `json:"faults"`
	Omitted int     `json:"omitted"` // faults beyond the first 1000, only counted
}

// maxFaults bounds the list of faults. The others are counted.
const maxFaults = 1000

// Add adds a fault.
func (r *Report) Add(f Fault) {
	if len(r.Faults) >= maxFaults {
		r.Omitted++
		return
	}
	r.Faults = append(r.Faults, f)
}

// OK reports whether nothing at all is wrong.
func (r Report) OK() bool { return r.Proved && len(r.Faults) == 0 && r.Omitted == 0 }

// Sort brings the faults into the order of their sequences.
func (r *Report) Sort() {
	slices.SortStableFunc(r.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Detail, b.Detail))
	})
}

// Told is a tree that a log had, and where that was noted, for the report.
type Told struct {
	Where string
	Tree  tlog.Tree
}
