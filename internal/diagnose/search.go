package diagnose

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // to be recognised, never to be accepted
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"iter"
	"slices"
	"strings"
	"sync"
)

// The work of one Explain: bytes hashed, and in such bytes what a hash costs besides, and
// what a byte costs that is unpacked, read as JSON or written as JSON. Strangers choose
// the bodies, so all that is made of them is paid for, also if nothing comes of it.
const (
	maxWork    = 256 << 20
	hashCost   = 256
	unpackCost = 4
	readCost   = 64
	writeCost  = 4
)

// hashes are the hash functions by the size of their digests.
var hashes = map[int]func() hash.Hash{sha1.Size: sha1.New, sha256.Size: sha256.New, sha512.Size: sha512.New}

// search looks for keys and bodies that give one of the digests.
type search struct {
	question Question
	readings []reading
	sizes    []int // of the digests, each once
	keys     keyForms
	packed   func() []mistake // the body compressed, which is slow and done once

	left   int // of maxWork
	tried  int // hashes made
	proof  []cause
	proven Candidate
	signed []byte // the body that was signed
}

func newSearch(q Question, readings []reading) *search {
	s := &search{question: q, readings: readings, left: maxWork}
	s.packed = sync.OnceValue(func() []mistake { return packings(q.Body) })
	if len(readings) > 0 {
		s.keys = newKeyForms(q)
	}
	for _, r := range readings {
		if !slices.Contains(s.sizes, len(r.digest)) {
			s.sizes = append(s.sizes, len(r.digest))
		}
	}
	return s
}

// bodyForm is the body, or what a mistake may have made it of.
type bodyForm struct {
	data   []byte
	causes []cause
}

// run tries the fewest mistakes first, and stops at the first that fit.
func (s *search) run() (Finding, bool) {
	body := bodyForm{data: s.question.Body}
	found := len(s.readings) > 0 && (s.macs(s.keys[0], body) ||
		s.macs(s.keys[1], body) ||
		s.each(s.bodies(), func(b bodyForm) bool { return s.macs(s.keys[0], b) }) ||
		s.plain(s.keys[0], body) ||
		s.macs(s.keys[2], body) ||
		s.plain(s.keys[1], body) ||
		s.each(s.bodies(), func(b bodyForm) bool { return s.macs(s.keys[1], b) || s.plain(s.keys[0], b) }) ||
		s.each(s.pairs(), func(b bodyForm) bool { return s.macs(s.keys[0], b) }))
	if !found {
		return Finding{}, false
	}
	return s.finding(), true
}

// each calls try for each body until it is true or there is no work left.
func (s *search) each(bodies iter.Seq[bodyForm], try func(bodyForm) bool) bool {
	for b := range bodies {
		if !s.afford(len(b.data)) {
			return false
		}
		if try(b) {
			return true
		}
	}
	return false
}

// bodies gives the bodies that are one mistake away.
func (s *search) bodies() iter.Seq[bodyForm] {
	return func(yield func(bodyForm) bool) {
		for _, e := range s.question.Earlier {
			c := relation(s.question.Body, e)
			if c.code != "" && !yield(bodyForm{e.Body, []cause{c}}) {
				return
			}
		}
		for m := range bodyMistakes(s.question.Body, "", s.spend) {
			if !yield(bodyForm{m.data, []cause{m.cause}}) {
				return
			}
		}
		for _, m := range s.packed() {
			if !yield(bodyForm{m.data, []cause{m.cause}}) {
				return
			}
		}
	}
}

// pairs gives the bodies that are two different mistakes away.
func (s *search) pairs() iter.Seq[bodyForm] {
	return func(yield func(bodyForm) bool) {
		for b := range s.bodies() {
			for m := range bodyMistakes(b.data, b.causes[0].code, s.spend) {
				if m.code != b.causes[0].code && !yield(bodyForm{m.data, append(clip(b.causes), m.cause)}) {
					return
				}
			}
		}
	}
}

// afford pays for hashing n bytes once, if there is enough left.
func (s *search) afford(n int) bool { return s.spend(n + hashCost) }

// spend pays for some work, and reports whether there was enough left.
func (s *search) spend(work int) bool {
	s.left -= work
	return s.left >= 0
}

// macs tries the HMACs of a body under keys.
func (s *search) macs(keys []*keyForm, b bodyForm) bool {
	for _, k := range keys {
		for _, size := range s.sizes {
			if !s.afford(len(b.data)) {
				return false
			}
			if s.matches(k.mac(size, b.data), k, b, "") {
				return true
			}
		}
	}
	return false
}

// mac returns the HMAC of data under the key.
func (k *keyForm) mac(size int, data []byte) []byte {
	h := k.macs[size]
	if h == nil {
		h = hmac.New(hashes[size], k.secret)
		k.macs[size] = h
	}
	h.Reset()
	h.Write(data)
	return h.Sum(nil)
}

// plain tries hashes that are no HMAC, or one the wrong way round.
func (s *search) plain(keys []*keyForm, b bodyForm) bool {
	for _, size := range s.sizes {
		if !s.afford(len(b.data)) {
			return false
		}
		if s.matches(digest(hashes[size](), b.data), &keyForm{}, b, "hash_without_key") {
			return true
		}
		for _, k := range keys {
			if len(k.secret) == 0 || !s.afford(3*(len(b.data)+hashCost)) {
				continue
			}
			if s.matches(digest(hashes[size](), k.secret, b.data), k, b, "hash_of_key_body") ||
				s.matches(digest(hashes[size](), b.data, k.secret), k, b, "hash_of_body_key") ||
				s.matches(digest(hmac.New(hashes[size], b.data), k.secret), k, b, "hash_key_exchanged") {
				return true
			}
		}
	}
	return false
}

func digest(h hash.Hash, parts ...[]byte) []byte {
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// matches notes the proof if sum is one of the digests.
func (s *search) matches(sum []byte, k *keyForm, b bodyForm, how string) bool {
	s.tried++
	for _, r := range s.readings {
		if !hmac.Equal(r.digest, sum) {
			continue
		}
		s.proof = clip(r.causes)
		if how != "" {
			s.proof = with(s.proof, how)
		}
		s.proof = append(append(s.proof, k.causes...), b.causes...)
		s.proven, s.signed = k.of, b.data
		return true
	}
	return false
}

// finding says what was proved.
func (s *search) finding() Finding {
	var codes, clauses, next []string
	for _, c := range s.proof {
		codes = append(codes, c.code)
		clauses = append(clauses, c.clause())
		if n := known[c.code].next; !slices.Contains(next, n) {
			next = append(next, n)
		}
	}
	by := "It was made with " + s.proven.String() + ", but "
	if s.proven.secret == nil {
		by = "It was not made with any key: "
	}
	return Finding{
		Code: strings.Join(codes, "+"), Proved: true,
		Text: by + strings.Join(clauses, "; and ") + ".",
		Next: strings.Join(next, " "), Compared: s.compared(),
	}
}

// unexplained says what was tried without a result.
func (s *search) unexplained() Finding {
	f := newFinding(cause{code: "unexplained"})
	f.Tried = []string{
		fmt.Sprintf("%s of the source and %s of other sources, unchanged", count(len(s.keys[0]), "key"), count(others(s.keys), "key")),
		"no key, and an empty key",
		"keys with additional or missing line ends, white space, quotes or byte order mark, in Latin-1, or truncated to 128 characters",
		"keys decoded from and encoded in base64 and hexadecimal, and in the other case",
		"HMAC and plain hashes: SHA-1, SHA-256 and SHA-512, by the length of the value",
		"the body with other line ends, with and without a line end at its end, white space around it, or a byte order mark",
		"the body decompressed with gzip, and decoded from base64",
	}
	if n := len(s.question.Earlier); n > 0 {
		f.Tried = append(f.Tried, count(n, "earlier callback"))
	} else {
		f.Skipped = append(f.Skipped, "earlier callbacks: none are available")
	}
	if len(s.question.Body) > maxJSON {
		f.Skipped = append(f.Skipped, fmt.Sprintf("the body as JSON in other formats: it is over %d KiB", maxJSON>>10))
	} else {
		f.Tried = append(f.Tried, "the body as JSON in the formats of common serialisers, if it is JSON")
	}
	if len(s.question.Body) > maxPacked {
		f.Skipped = append(f.Skipped, fmt.Sprintf("the body compressed with gzip: it is over %d KiB", maxPacked>>10))
	} else {
		f.Tried = append(f.Tried, "the body compressed with gzip")
	}
	if s.left < 0 {
		f.Skipped = append(f.Skipped, "some of these: the body is too large to try all of them")
	} else {
		f.Tried = append(f.Tried, "two of these differences at once")
	}
	f.Tried = append(f.Tried, fmt.Sprintf("%d hashes in all", s.tried))
	return f
}

// others counts the keys of other sources.
func others(keys keyForms) int {
	n := 0
	for _, k := range keys[1] {
		if len(k.causes) == 1 && k.causes[0].code == "key_of_other" {
			n++
		}
	}
	return n
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
