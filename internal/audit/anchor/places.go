package anchor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// place is one that the checkpoints of a Collection are from.
type place struct {
	kind, where string
	id          ID                // of one that gets receipts
	witness     *Witness          // of a witness
	unread      error             // why it was not read
	held        map[string][]held // by origin
	newest      map[string]held   // by origin, of a witness: by its own word of today
}

// held is a checkpoint at a place, and since when, as far as the place tells.
type held struct {
	size  int64
	note  []byte
	since time.Time
}

// Holds is what a place has of one log.
type Holds struct {
	Log string `json:"log"`
	// Checkpoints counts them; of a witness those with its cosignature that are kept elsewhere.
	Checkpoints int `json:"checkpoints"`
	// Size is that of the largest that a log key has signed and, of a witness, the witness too.
	Size int64 `json:"size"`
	// Time is since when it is there, by the word of that place.
	Time time.Time `json:"time,omitzero"`
}

// Compared is a place whose checkpoints were compared.
type Compared struct {
	Kind  string  `json:"kind"` // stream, file, folder, account or witness
	Where string  `json:"where"`
	Logs  []Holds `json:"logs"`
	// Error is why it could not be asked; empty if it was.
	Error string `json:"error,omitempty"`
}

// Outside reports whether the place is outside of the receiver's own store and file.
func (c Compared) Outside() bool { return c.Kind != "stream" && c.Kind != "file" }

// Places returns every place, with what it has of the logs whose keys are believed.
func (c *Collection) Places() []Compared {
	all := []Compared{}
	for _, p := range c.places {
		row := Compared{Kind: p.kind, Where: p.where, Logs: []Holds{}}
		if p.unread != nil {
			row.Error = p.unread.Error()
		}
		for _, origin := range c.logs() {
			n := p.largest(origin, c.Keys)
			if now := p.newest[origin]; now.size >= n.size && now.note != nil {
				n = now
			}
			if n.note != nil {
				row.Logs = append(row.Logs, Holds{origin, len(p.held[origin]), n.size, n.since.UTC()})
			}
		}
		all = append(all, row)
	}
	return all
}

// logs are the logs whose keys are believed.
func (c *Collection) logs() []string {
	var names []string
	for _, v := range c.Keys.Log {
		names = append(names, v.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// largest is the largest checkpoint of a log that counts at the place: signed by a believed key
// and, of a witness, cosigned by it.
func (p *place) largest(origin string, keys audit.Keys) held {
	for _, h := range p.bySize(origin) {
		cp, err := audit.OpenCheckpoint(h.note, keys)
		if err != nil {
			continue
		}
		if p.witness == nil {
			return h
		}
		if at := cosignedAt(cp, p.witness.key); !at.IsZero() {
			h.since = at
			return h
		}
	}
	return held{}
}

// bySize are the checkpoints of a log, the largest first.
func (p *place) bySize(origin string) []held {
	return slices.SortedStableFunc(slices.Values(p.held[origin]), func(a, b held) int { return cmp.Compare(b.size, a.size) })
}

// cosignedAt is the time of a witness's cosignature; zero if there is none.
func cosignedAt(cp audit.Checkpoint, w note.Verifier) time.Time {
	for _, s := range cp.Cosignatures {
		if s.Witness == w.Name() {
			return s.Time
		}
	}
	return time.Time{}
}

// AddWitness takes the cosignatures of a witness on what was collected so far.
func (c *Collection) AddWitness(url string, w *Witness) {
	p := c.at("witness", url, WitnessID(w.key))
	p.witness, p.newest = w, map[string]held{}
	line := []byte("\n— " + w.key.Name() + " ")
	seen := map[string]bool{}
	for origin, kept := range c.kept {
		for _, k := range kept {
			if bytes.Contains(k.Note, line) && !seen[string(k.Note)] {
				seen[string(k.Note)] = true
				cp, _ := audit.ReadCheckpoint(k.Note) // it was read before
				p.held[origin] = append(p.held[origin], held{size: cp.Tree.N, note: k.Note})
			}
		}
	}
}

// askTimeout bounds how long a witness is waited for.
const askTimeout = 5 * time.Second

// Ask asks the witnesses that were added for the newest checkpoint of a log, and returns as faults
// of the log that one has cosigned another history. That one has less than it received is a fault
// of its place. That it cannot be asked is none; Places says so.
func (c *Collection) Ask(ctx context.Context, name string, log *audit.Log) []audit.Fault {
	var faults []audit.Fault
	for _, p := range c.places {
		if p.witness == nil || errors.Is(p.unread, audit.ErrWitness) { // it did not answer for another log
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		cp, err := log.Ask(asking, p.witness)
		cancel()
		fork := new(audit.ForkError)
		switch {
		case err == nil:
			p.newest[cp.Origin] = held{cp.Tree.N, cp.Note, cosignedAt(cp, p.witness.key)}
		case errors.As(err, &fork):
			kind := audit.Forked
			if fork.Found.Tree.N < fork.Known.Tree.N {
				kind = audit.RolledBack
			}
			faults = append(faults, audit.Fault{Stream: log.Options().Stream, Kind: kind, Detail: fork.Error()})
		case errors.Is(err, ErrForgotten):
			c.fault(name, 0, audit.Forgotten, "%v", err)
		case !errors.Is(err, audit.ErrNoCheckpoint):
			p.unread = err
		}
	}
	return faults
}

// Tell takes receipts that are kept beside the file of them, such as those of every start. Of
// them nothing is expected but that each is of the log.
func (c *Collection) Tell(all []Receipt) { c.told = append(c.told, all...) }

// Told returns the trees of logs that receipts name, those for places that are configured no more
// among them: to change the configuration does not make a rollback unseen.
func (c *Collection) Told(origins ...string) (all []audit.Told) {
	seen := map[tlog.Tree]bool{}
	for _, r := range slices.Concat(c.receipts, c.told) {
		tree := tlog.Tree{N: r.Size, Hash: r.Root}
		if r.Size >= 0 && slices.Contains(origins, r.Log) && !seen[tree] {
			seen[tree] = true
			all = append(all, audit.Told{Where: "the receipt of " + r.ID.String(), Tree: tree})
		}
	}
	return all
}

// Promise reads what Compare holds the places to: the file of receipts, and what the receiver
// recorded of that file before; nil if nothing. Call it before the places are read: a receiver that
// runs tells them more meanwhile. A file that is gone or damaged is a fault.
func (c *Collection) Promise(name, path string, before *[]Receipt) {
	receipts, err := ReadReceipts(path)
	switch {
	case err == nil:
		c.receipts = receipts
	case before != nil || !errors.Is(err, fs.ErrNotExist):
		c.fault(name, 0, audit.Forgotten, "%v; without it a place that lost checkpoints is not found", err)
	}
	if before == nil {
		return
	}
	for _, r := range *before {
		if has := find(receipts, r.ID, r.Log); has.Size < r.Size {
			c.receipts = append(c.receipts, r)
			c.cut = append(c.cut, r)
		}
	}
	if err != nil {
		c.cut = nil // one fault is enough
	}
}

// Compare names every place that has less of a log than it received of this receiver. A place that
// could not be read was named before. The cosignatures of a witness must be kept, whatever it says
// today.
func (c *Collection) Compare(name string) {
	for _, p := range c.places {
		for _, r := range c.cut {
			if p.id == r.ID {
				c.fault(name, 0, audit.Forgotten, "the receipts say less of %s and %s than the newest start, which says size %d", r.ID, r.Log, r.Size)
			}
		}
		for _, r := range c.receipts {
			if p.id == r.ID && (p.witness != nil || p.unread == nil) {
				c.compare(name, p, r)
			}
		}
	}
}

// compare names a place that has less of a log than a receipt says.
func (c *Collection) compare(name string, p *place, r Receipt) {
	n := p.largest(r.Log, c.Keys)
	if all := p.bySize(r.Log); !c.believes(fileOf(r.Log)) && len(all) > 0 {
		n = all[0] // of a log that is looked at no more
	}
	if n.size < r.Size {
		c.fault(name, 0, audit.Forgotten, "%s has %s up to size %d only; it received %d at %s", p.describe(), r.Log, n.size, r.Size, r.Time.Format(time.RFC3339))
	}
}

// find returns the receipt of a place for a log; of size 0 if there is none.
func find(receipts []Receipt, id ID, origin string) Receipt {
	for _, r := range receipts {
		if r.ID == id && r.Log == origin {
			return r
		}
	}
	return Receipt{}
}

// describe names the place, for people.
func (p *place) describe() string {
	if p.witness != nil {
		return "what is kept with the cosignature of witness " + p.id.Where
	}
	return p.kind + " " + p.where
}
