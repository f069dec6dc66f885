package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// ErrUnknown is returned by Check for what is no token, or none that is still valid.
var ErrUnknown = errors.New("no valid token")

// ErrTooMany is returned by Check for more requests than are answered: ask again a second later.
var ErrTooMany = errors.New("too many requests")

// Set are the tokens in force. It may be used by many at once.
type Set struct {
	current atomic.Pointer[entries]
	config  []*entry // of private.token; it never changes
	rate    int
	now     func() time.Time
	wrong   *wrong
	refused atomic.Uint64 // requests without a valid token
	limited atomic.Uint64 // those of them that were not looked at, or too many
}

type entries struct {
	required bool
	all      []*entry
}

// entry is a token with its use.
type entry struct {
	Token
	sum [sha256.Size]byte
	*use
}

// use is what was made of a token. It goes on when the file is read again.
type use struct {
	limit    *rate.Limiter
	uses     [3]atomic.Uint64 // by outcome
	lastUsed atomic.Int64     // in nanoseconds since 1970
}

// NewSet returns a set with one token that opens everything, private.token, or none if that
// is empty. Each token is answered perSecond times a second, and as many more at once.
func NewSet(private string, perSecond int, now func() time.Time) *Set {
	s := &Set{rate: perSecond, now: now, wrong: newWrong(now)}
	if private != "" {
		e := s.entry(Token{Name: ConfigName, Scopes: Scopes})
		e.sum = sha256.Sum256([]byte(private))
		s.config = []*entry{e}
	}
	s.current.Store(&entries{required: private != "", all: s.config})
	return s
}

func (s *Set) entry(t Token) *entry {
	return &entry{Token: t, use: &use{limit: rate.NewLimiter(rate.Limit(s.rate), s.rate)}}
}

// Replace puts the tokens of a file into force in place of those before; found says whether there
// is a file. From the first file on a token is required, also if the file is removed: removing a
// file must not open a running listener.
func (s *Set) Replace(tokens []Token, found bool) {
	before := s.current.Load()
	next := &entries{required: before.required || found, all: slices.Clone(s.config)}
	for _, t := range tokens {
		e := s.entry(t)
		_, _ = hex.Decode(e.sum[:], []byte(t.SHA256)) // check looked at it
		for _, old := range before.all {
			if old.Name == t.Name && old.sum == e.sum {
				e.use = old.use
			}
		}
		next.all = append(next.all, e)
	}
	s.current.Store(next)
}

// Tokens returns what is in force of the file.
func (s *Set) Tokens() []Token {
	var all []Token
	for _, e := range s.current.Load().all[len(s.config):] {
		all = append(all, e.Token)
	}
	return all
}

// Required reports whether a request needs a token at all.
func (s *Set) Required() bool { return s.current.Load().required }

// Holder is the holder of the token of a request. The zero Holder has no permission.
type Holder struct {
	Name   string
	scopes []Scope
	of     *entry
}

// Folder is the holder of requests through the socket in the store's folder, which only the owner
// of the folder can use.
func Folder() Holder { return Holder{Name: FolderName, scopes: Scopes} }

type operator struct{}

// With returns the context of a request of the holder.
func (h Holder) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, operator{}, h)
}

// Of returns the holder of the token of a request, and false for a request without a token.
func Of(ctx context.Context) (Holder, bool) {
	h, ok := ctx.Value(operator{}).(Holder)
	return h, ok
}

// Operator names the holder of the token of a request for a record.
func Operator(ctx context.Context) string {
	if h, ok := Of(ctx); ok {
		return "token " + h.Name
	}
	return "a client on this machine, without a token"
}

// Scopes are the scopes of the holder.
func (h Holder) Scopes() []Scope { return slices.Clone(h.scopes) }

// Expires is when the holder's token ends; zero means never.
func (h Holder) Expires() time.Time {
	if h.of == nil {
		return time.Time{}
	}
	return h.of.Expires
}

// has reports whether scopes open what needs a scope.
func has(scopes []Scope, scope Scope) bool { return scope == Any || slices.Contains(scopes, scope) }

// May reports whether the holder has a scope, and counts the request as served or forbidden.
func (h Holder) May(scope Scope) bool {
	may := h.Name != "" && has(h.scopes, scope)
	if h.of != nil && may {
		h.of.uses[served].Add(1)
	} else if h.of != nil {
		h.of.uses[forbidden].Add(1)
	}
	return may
}

// Check returns whose token it is that came from an address, or ErrUnknown or ErrTooMany. It
// compares digests, all of them, in constant time.
//
// An address that sent too many wrong ones has to wait, unless what it sends has the form of a
// token of ours, which cannot be guessed: so a flood does not keep the holder of one out.
func (s *Set) Check(secret, address string) (Holder, error) {
	if !WellFormed(secret) && s.wrong.exhausted(address) {
		s.limited.Add(1)
		return Holder{}, ErrTooMany
	}
	sum := sha256.Sum256([]byte(secret))
	now := s.now()
	all, found := s.current.Load().all, -1
	for i, e := range all {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], e.sum[:]), i, found)
	}
	if found < 0 || all[found].Expired(now) {
		if !s.wrong.add(address) {
			s.limited.Add(1)
			return Holder{}, ErrTooMany
		}
		s.refused.Add(1)
		return Holder{}, ErrUnknown
	}
	e := all[found]
	e.lastUsed.Store(now.UnixNano())
	if !e.limit.AllowN(now, 1) {
		e.uses[limited].Add(1)
		return Holder{}, ErrTooMany
	}
	return Holder{Name: e.Name, scopes: e.Scopes, of: e}, nil
}

// InForce reports whether the token of a holder that Check returned is in force, with a scope.
func (s *Set) InForce(h Holder, scope Scope) bool {
	now := s.now()
	return slices.ContainsFunc(s.current.Load().all, func(e *entry) bool {
		return h.of != nil && e.sum == h.of.sum && !e.Expired(now) && has(e.Scopes, scope)
	})
}

// The outcomes of a request.
const (
	served = iota
	forbidden
	limited
)

// Use is what was asked with a token since the process began.
type Use struct {
	Name      string    `json:"name"`
	LastUsed  time.Time `json:"last_used,omitzero"` // zero if never
	Served    uint64    `json:"served"`
	Forbidden uint64    `json:"forbidden"`
	Limited   uint64    `json:"limited"`
}

// Uses returns the use of each token in force.
func (s *Set) Uses() []Use {
	var all []Use
	for _, e := range s.current.Load().all {
		u := Use{Name: e.Name, Served: e.uses[served].Load(), Forbidden: e.uses[forbidden].Load(), Limited: e.uses[limited].Load()}
		if at := e.lastUsed.Load(); at != 0 {
			u.LastUsed = time.Unix(0, at).UTC()
		}
		all = append(all, u)
	}
	return all
}

// Wrong returns how many requests had no valid token, and how many of that kind were too many.
func (s *Set) Wrong() (refused, limited uint64) { return s.refused.Load(), s.limited.Load() }
