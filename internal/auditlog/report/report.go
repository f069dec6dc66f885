// Package report writes a report about records for a reader who trusts neither the receiver nor
// this program: what was received and decided, the proof of each record from its leaf to the signed
// root, the evidence bundles themselves, the clock that each date rests on, and the statements that
// nothing here proves. It writes one page of HTML, text, or JSON.
//
// It finds no records: service/records does. A Report is a plain value, and so may come from
// anywhere; Compose makes one, and verifies everything that is in it.
package report

import (
	"time"

	"receiver/internal/auditlog"
)

// format is the version of the JSON form.
const format = "receiver-report/v1"

// The bounds of a report: a page past them is no longer read by anybody, and hard to open.
const (
	MaxRecords = 1000
	MaxBytes   = 16 << 20 // of all bodies and headers together
)

// Report is all that a report says. Its texts may come from outside: a form escapes them.
type Report struct {
	Format string `json:"format"`
	// Made is when it was made, by the clock of the machine that made it.
	Made    time.Time `json:"made"`
	Program string    `json:"program"`
	// Asked is what the records were selected by.
	Asked   []Fact   `json:"asked"`
	Jobs    []Job    `json:"jobs"`
	Records []Record `json:"records"` // in the order in which they were stored
	Bundles []Bundle `json:"bundles"` // one for each stream
	// Unsealed are records that were selected and are not in the report.
	Unsealed  []string `json:"unsealed"`
	Dates     []Date   `json:"dates"`
	NotProved []string `json:"not_proved"`
}

// Fact is a name and its value.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Job is how a job that records are about has ended, as far as they tell.
type Job struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	Object string `json:"object,omitempty"`
	// Result and Status are of its end; empty if no record tells of one.
	Result string `json:"result,omitempty"`
	Status string `json:"status,omitempty"`
	// Rows and Failed are how many rows it had; absent where no record tells.
	Rows   *int64 `json:"rows,omitempty"`
	Failed *int64 `json:"failed,omitempty"`
	// Record tells of its end, and Evidence is how that is known.
	Record   string `json:"record,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	// Conflicts are records that tell of another end.
	Conflicts []string `json:"conflicts"`
}

// Record is one record that is proved.
type Record struct {
	auditlog.Entry
	// Received is when the whole callback had arrived; absent if there was none.
	Received *time.Time `json:"received,omitempty"`
	Subject  string     `json:"subject"`
	// Answer is the HTTP status that the callback was answered with.
	Answer  int                 `json:"answer,omitempty"`
	Check   Check               `json:"signature_check"`
	Content Content             `json:"content"`
	Headers map[string][]string `json:"headers"`
	// Leaf is its leaf: the place in the tree, from 0, and the hash.
	Index int64  `json:"leaf_index"`
	Leaf  string `json:"leaf_hash"`
	Path  []Step `json:"path"`
}

// Step is one step from the leaf to the root.
type Step struct {
	Side    string `json:"side"`    // of the sibling: left or right
	Sibling string `json:"sibling"` // its hash
	Node    string `json:"node"`    // the hash of the two
}

// Check is what a second look at the signature of a record found.
type Check struct {
	State string `json:"state"` // one of the constants below
	Text  string `json:"text"`
}

// The states of a Check.
const (
	Confirmed        = "confirmed"         // the signature is right by a configured key
	RefusalConfirmed = "refusal_confirmed" // the reason of the refusal holds
	RightNow         = "right_now"         // it was refused, and is right by a key of today
	NotChecked       = "not_checked"
	Unsigned         = "unsigned" // nobody is said to have signed it
)

// Content is the body of a record, and where it is.
type Content struct {
	State string `json:"state"` // one of the constants below
	Text  string `json:"text"`
	// Shown is how it begins, as text or in hexadecimal.
	Shown string `json:"shown,omitempty"`
}

// The states of a Content.
const (
	InBundle  = "in_bundle"
	Encrypted = "encrypted" // in the bundle, encrypted
	Outside   = "outside"   // kept outside the message; the bundle has its digest only
	NotKept   = "not_kept"
	Empty     = "empty"
)

// Bundle is the evidence for the records of one stream.
type Bundle struct {
	Stream string `json:"stream"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"`
	// Records is how many are in it.
	Records    int         `json:"records"`
	Checkpoint string      `json:"checkpoint"` // the signed note
	Signatures []Signature `json:"signatures"`
	// LogKey is the public key that signed the checkpoint, and WitnessKeys those that cosigned it.
	LogKey      string   `json:"log_key"`
	WitnessKeys []string `json:"witness_keys"`
	File        string   `json:"file"`          // the name to save it by
	SHA256      string   `json:"bundle_sha256"` // of Data
	Data        []byte   `json:"bundle"`        // byte for byte, for `receiver audit check`
	Command     string   `json:"command"`       // that checks it
}

// Signature is one line under a checkpoint.
type Signature struct {
	Name  string `json:"name"`
	KeyID string `json:"key_id"`
	By    string `json:"by"` // log, witness, or unknown
	// Time is that of a cosignature, by the clock of the witness.
	Time *time.Time `json:"time,omitempty"`
}

// The signers of a Signature.
const (
	ByLog     = "log"
	ByWitness = "witness"
	ByUnknown = "unknown" // of a key that is not configured here: it was not verified
)

// Date is what a kind of date rests on.
type Date struct {
	Name  string `json:"name"`
	Clock string `json:"clock"`
	Says  string `json:"says"`
}
