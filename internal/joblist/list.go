package joblist

import (
	"bytes"
	"cmp"
	"container/heap"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"receiver/internal/job"
	wording "receiver/internal/words"
)

// Sort is the order of a list.
type Sort string

// The orders of a list.
const (
	// ByTime is the order in which the jobs were first heard of, newest first.
	ByTime Sort = "time"
	// ByID is the order of the ids, as text; jobs of several sources with one id are in
	// the order of the sources.
	ByID Sort = "id"
)

// Sorts are all orders.
var Sorts = []Sort{ByTime, ByID}

// Query says which jobs to list. The zero value lists all, newest first.
type Query struct {
	// Source and Object must be the same; empty means any.
	Source, Object string
	// States and Results must hold the job's; none means any.
	States  []State
	Results []job.Result
	// Since and Until bound when the job was submitted, or else first heard of; Until is
	// not within. Zero means no bound.
	Since, Until time.Time
	// ChangedAfter leaves out jobs whose last event is this sequence or an earlier one.
	ChangedAfter uint64
	// Text must be part of the id, the object or the status, whatever the case of ASCII
	// letters; empty means any.
	Text string
	Sort Sort
	// Reverse turns the order round.
	Reverse bool
	// Limit is the length of a page, at most MaxPage. Default 50.
	Limit int
	// Cursor is Next of the page before; empty means the first page.
	Cursor string
}

// MaxPage is the longest page of a list.
const MaxPage = 1000

// Page is a part of a list.
type Page struct {
	Jobs []Listed `json:"jobs"`
	// Next is the cursor of the next page; empty if there is none. It stays good over
	// restarts and on other replicas, and jobs that come meanwhile do not move it.
	Next string `json:"next,omitempty"`
	// Complete is false while the projection is being filled: there may be more.
	Complete bool `json:"complete"`
	// Last is the sequence of the newest event that the list takes into account. It is for
	// Query.ChangedAfter.
	Last uint64 `json:"last"`
}

// The errors of List. Both are the asker's fault.
var (
	// ErrCursor: the cursor is not one of a list in this order. Begin with the first page.
	ErrCursor = errors.New("the cursor is not of this list; begin with the first page")
	// ErrQuery: an order, state or result that there is not.
	ErrQuery = errors.New("no such list")
)

// List returns a page of the jobs that a query asks for.
func (p *Projection) List(q Query) (Page, error) {
	if q.Sort == "" {
		q.Sort = ByTime
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, MaxPage)
	after, err := readCursor(q)
	if err != nil {
		return Page{}, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	match, err := p.matcher(q)
	if err != nil {
		return Page{}, err
	}
	var found []row
	if q.Sort == ByID {
		found = p.byID(q, after, match)
	} else {
		found = p.byTime(q, after, match)
	}
	return p.page(q, found), nil
}

func (p *Projection) page(q Query, found []row) Page {
	page := Page{Jobs: make([]Listed, 0, min(len(found), q.Limit)), Complete: p.complete(), Last: p.next - 1}
	for _, r := range found[:min(len(found), q.Limit)] {
		page.Jobs = append(page.Jobs, p.listed(r))
	}
	if len(found) > q.Limit {
		page.Next = writeCursor(q, page.Jobs[q.Limit-1])
	}
	return page
}

// byTime walks from the cursor on until the page, and one job more, is found.
func (p *Projection) byTime(q Query, after *place, match func(row) bool) []row {
	from, to, step := p.front, p.end(), 1
	if after != nil {
		from = p.position(after.first, q.Reverse)
	}
	if !q.Reverse {
		from, to, step = p.end()-1, p.front-1, -1
		if after != nil {
			from = p.position(after.first, q.Reverse)
		}
	}
	var found []row
	for i := from; i != to && len(found) <= q.Limit; i += step {
		if r := p.at(i); match(r) {
			found = append(found, r)
		}
	}
	return found
}

// position returns where the first job stands that comes after sequence first, or, to go
// down from, the last that comes before.
func (p *Projection) position(first uint64, up bool) int {
	low, high := p.front, p.end()
	for low < high {
		middle := (low + high) / 2
		if s := p.at(middle).first; s < first || up && s == first {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if up {
		return low
	}
	return low - 1
}

// byID goes through all jobs and keeps the page, and one job more, that come next.
func (p *Projection) byID(q Query, after *place, match func(row) bool) []row {
	compare := func(a, b row) int {
		c := bytes.Compare(a.id, b.id)
		if c == 0 {
			c = cmp.Compare(p.words.names[a.source], p.words.names[b.source])
		}
		if q.Reverse {
			return -c
		}
		return c
	}
	last := &topmost{compare: compare}
	beyond := func(r row) bool {
		c := cmp.Compare(string(r.id), after.id)
		if c == 0 {
			c = cmp.Compare(p.words.names[r.source], after.source)
		}
		return c > 0 != q.Reverse && c != 0
	}
	for i := range p.end() - p.front {
		// Ids mostly grow with time. Beginning at the right end, most jobs are out at once.
		position := p.front + i
		if q.Reverse {
			position = p.end() - 1 - i
		}
		r := p.at(position)
		full := len(last.records) > q.Limit
		if full && compare(r, last.records[0]) > 0 || after != nil && !beyond(r) || !match(r) {
			continue
		}
		heap.Push(last, r)
		if full {
			heap.Pop(last)
		}
	}
	slices.SortFunc(last.records, compare)
	return last.records
}

// topmost is a heap with the last record of an order at its top.
type topmost struct {
	records []row
	compare func(a, b row) int
}

func (t *topmost) Len() int           { return len(t.records) }
func (t *topmost) Less(i, j int) bool { return t.compare(t.records[i], t.records[j]) > 0 }
func (t *topmost) Swap(i, j int)      { t.records[i], t.records[j] = t.records[j], t.records[i] }

// Push adds a row, as heap.Interface wants it.
func (t *topmost) Push(x any) { t.records = append(t.records, x.(row)) }

// Pop takes off the last record, as heap.Interface wants it.
func (t *topmost) Pop() any {
	n := len(t.records) - 1
	r := t.records[n]
	t.records = t.records[:n]
	return r
}

// place is where a page ended.
type place struct {
	first      uint64 // by time
	id, source string // by id
}

func writeCursor(q Query, last Listed) string {
	text := "t" + strconv.FormatUint(last.First, 10)
	if q.Sort == ByID {
		text = "i" + last.Source + "." + last.ID
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

func readCursor(q Query) (*place, error) {
	if q.Cursor == "" {
		return nil, nil //nolint:nilnil // no place is where the first page begins
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(q.Cursor)
	if err != nil || len(data) == 0 {
		return nil, ErrCursor
	}
	kind, rest := data[0], string(data[1:])
	switch {
	case kind == 't' && q.Sort == ByTime:
		if first, err := strconv.ParseUint(rest, 10, 64); err == nil {
			return &place{first: first}, nil
		}
	case kind == 'i' && q.Sort == ByID:
		if source, id, ok := strings.Cut(rest, "."); ok {
			return &place{source: source, id: id}, nil
		}
	}
	return nil, ErrCursor
}

// Check returns the wanted states and results as bits of their places. The error is an ErrQuery.
func (q Query) Check() (states, outcomes uint64, err error) {
	if err := wording.Check(string(cmp.Or(q.Sort, ByTime)), wording.Strings(Sorts)); err != nil {
		return 0, 0, fmt.Errorf("%w: order %w", ErrQuery, err)
	}
	if states, err = set(order, q.States); err != nil {
		return 0, 0, fmt.Errorf("%w: state %w", ErrQuery, err)
	}
	if outcomes, err = set(results, q.Results); err != nil {
		return 0, 0, fmt.Errorf("%w: result %w", ErrQuery, err)
	}
	return states, outcomes, nil
}

// matcher returns what tells whether a record is asked for. Words are looked up once,
// not for each record.
func (p *Projection) matcher(q Query) (func(row) bool, error) {
	states, outcomes, err := q.Check()
	if err != nil {
		return nil, err
	}
	source, sourceKnown := p.words.numbers[q.Source]
	object, objectKnown := p.words.numbers[q.Object]
	if !sourceKnown || !objectKnown {
		return func(row) bool { return false }, nil
	}
	since, until := bounds(q)
	text := p.containing(q.Text)
	return func(r row) bool {
		return (q.Source == "" || r.source == source) && (q.Object == "" || r.object == object) &&
			states&(1<<r.state) != 0 && outcomes&(1<<r.result) != 0 &&
			r.at() >= since && r.at() < until && r.last > q.ChangedAfter && text(r)
	}, nil
}

// bounds returns the times of a query in milliseconds.
func bounds(q Query) (since, until int64) {
	since, until = -1<<63, 1<<63-1
	if !q.Since.IsZero() {
		since = q.Since.Add(time.Millisecond - 1).UnixMilli()
	}
	if !q.Until.IsZero() {
		until = q.Until.Add(time.Millisecond - 1).UnixMilli()
	}
	return since, until
}

// set returns the wanted values as the bits of their places; all if none is wanted.
func set[T ~string](all, wanted []T) (bits uint64, err error) {
	if len(wanted) == 0 {
		return 1<<64 - 1, nil
	}
	for _, w := range wanted {
		i := slices.Index(all, w)
		if i < 0 || w == "" {
			return 0, wording.Check(string(w), wording.Strings(all[1:]))
		}
		bits |= 1 << i
	}
	return bits, nil
}

// containing returns what tells whether the text is part of a record.
func (p *Projection) containing(text string) func(row) bool {
	if text == "" {
		return func(row) bool { return true }
	}
	part := lower([]byte(text))
	named := make([]bool, len(p.words.names))
	for i, name := range p.words.names {
		named[i] = bytes.Contains(lower([]byte(name)), part)
	}
	return func(r row) bool {
		return named[r.object] || named[r.status] || bytes.Contains(lower(r.id), part)
	}
}

// lower is bytes.ToLower for ASCII letters only, and for free where there are none.
func lower(s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			return bytes.Map(func(r rune) rune {
				if 'A' <= r && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, s)
		}
	}
	return s
}
