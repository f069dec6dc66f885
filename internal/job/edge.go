package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The headers that a hub's messages carry when an edge received them. They are beside the
// event's own, which stay as they were.
const (
	headerEdge       = "receiver-edge"
	headerEdgeStore  = "receiver-edge-store"
	headerEdgeRecord = "receiver-edge-record"
	headerEdgeStored = "receiver-edge-stored"
)

// Edge says which record of which edge a message of a hub was made from. Two are the same
// record exactly when their IDs are, whatever becomes of the edge's name or disk.
type Edge struct {
	// Name is the edge's JetStream domain, by which the hub reaches it.
	Name string
	// Store is the public key of the store's owner: another one for every folder.
	Store string
	// Stream and Sequence are the record's place in the edge's log, as `audit show` takes it.
	Stream   string
	Sequence uint64
	// Stored is when the edge stored it. It tells records apart that had one sequence, in a
	// store that lost its end or was put back to an earlier state.
	Stored time.Time
}

// Mark sets the headers that say so.
func (e Edge) Mark(header map[string][]string) {
	header[headerEdge] = []string{e.Name}
	header[headerEdgeStore] = []string{e.Store}
	header[headerEdgeRecord] = []string{e.Record()}
	header[headerEdgeStored] = []string{e.Stored.UTC().Format(time.RFC3339Nano)}
}

// Record returns STREAM/SEQUENCE.
func (e Edge) Record() string { return e.Stream + "/" + strconv.FormatUint(e.Sequence, 10) }

// ID returns a text that no other record has.
func (e Edge) ID() string {
	return e.Store + "/" + e.Record() + "/" + strconv.FormatInt(e.Stored.UnixNano(), 36)
}

// ParseEdge undoes Mark. It returns false for a message that came through no edge, and an
// error for headers that Mark did not write.
func ParseEdge(header map[string][]string) (Edge, bool, error) {
	get := LookupIn(header)
	record := get(headerEdgeRecord)
	if record == "" {
		return Edge{}, false, nil
	}
	e := Edge{Name: get(headerEdge), Store: get(headerEdgeStore)}
	var number string
	e.Stream, number, _ = strings.Cut(record, "/")
	var err error
	if e.Sequence, err = strconv.ParseUint(number, 10, 64); err != nil {
		return Edge{}, false, fmt.Errorf("%s %q is not STREAM/SEQUENCE", headerEdgeRecord, record)
	}
	if e.Stored, err = time.Parse(time.RFC3339Nano, get(headerEdgeStored)); err != nil {
		return Edge{}, false, fmt.Errorf("%s: %w", headerEdgeStored, err)
	}
	e.Stored = e.Stored.UTC()
	return e, true, nil
}

// Repeated returns, as subject and headers of a message of ATTEMPTS, what an event is where
// another one told the same before: there is that one's id. The event must have come by a
// callback; header and body are as they are stored, the body encrypted or not.
func (e Event) Repeated(verdict, there string, header map[string][]string, body []byte) (subject string, attempt map[string][]string) {
	get := LookupIn(header)
	a := Attempt{
		Source: e.Source, Verdict: verdict, Receipt: *e.Receipt, SHA256: get(HeaderBody), Size: int64(len(body)), Event: there,
	}
	if !Encrypted(header) {
		return a.Subject(), a.Header().Map()
	}
	attempt = a.EncryptedHeader().Map()
	attempt[headerSize] = []string{get(headerSize)}
	return a.Subject(), attempt
}
