package diagnose

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Comparison sets what came beside what was signed. It holds no key.
type Comparison struct {
	// Key names the key that made the signature; it is empty if none did.
	Key string `json:"key,omitempty"`
	// Differences are the causes, each by itself.
	Differences []Difference `json:"differences"`
	// Came is the body in question, and Signed the one that the signature was made over.
	Came   Side `json:"came"`
	Signed Side `json:"signed"`
	// Regions are where the bodies differ, in order; More is true if there are others behind them.
	Regions []Region `json:"regions,omitempty"`
	More    bool     `json:"more_regions,omitempty"`
}

// Difference is one cause of a refusal.
type Difference struct {
	// Of is what differs: signature (the text of the header), hash, key or body.
	Of string `json:"of"`
	// Code is one of Codes, and Text its words.
	Code string `json:"code"`
	Text string `json:"text"`
}

// Side is one of two bodies.
type Side struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// Region is where two bodies differ: some bytes that came, in place of some that were signed.
type Region struct {
	// At is the offset among the bytes that came, and SignedAt that among those that were signed.
	At       int `json:"at"`
	SignedAt int `json:"signed_at"`
	// Before and After are bytes around it that are the same on both sides.
	Before []byte `json:"before"`
	After  []byte `json:"after"`
	// Came and Signed are the bytes, or the first of them; Size and SignedSize say how many
	// there are.
	Came       []byte `json:"came"`
	Signed     []byte `json:"signed"`
	Size       int    `json:"size"`
	SignedSize int    `json:"signed_size"`
}

// The bounds of a comparison.
const (
	maxRegions  = 16
	maxShown    = 128 // bytes of a region
	around      = 16  // bytes before and after a region
	maxShift    = 32  // bytes by which the two sides may have moved to be found the same again
	enoughAlike = 3   // bytes that are the same again
)

// compared returns what was proved as a comparison.
func (s *search) compared() *Comparison {
	came := s.question.Body
	c := &Comparison{Differences: make([]Difference, 0, len(s.proof)), Came: side(came), Signed: side(s.signed)}
	if s.proven.secret != nil {
		c.Key = s.proven.String()
	}
	for _, p := range s.proof {
		of, _, _ := strings.Cut(p.code, "_")
		c.Differences = append(c.Differences, Difference{of, p.code, p.clause()})
	}
	c.Regions, c.More = regions(came, s.signed)
	return c
}

func side(b []byte) Side {
	sum := sha256.Sum256(b)
	return Side{len(b), hex.EncodeToString(sum[:])}
}

// regions finds where two texts differ. Behind a difference it looks a few bytes on for where they
// are the same again; if nowhere, the rest but for a common end is one region.
func regions(came, signed []byte) (all []Region, more bool) {
	i, j := 0, 0
	for {
		since, n := i, alike(came[i:], signed[j:])
		i, j = i+n, j+n
		if i == len(came) && j == len(signed) {
			return all, false
		}
		if len(all) == maxRegions {
			return all, true
		}
		x, y := resume(came[i:], signed[j:])
		all = append(all, region(came, signed, since, [2]int{i, j}, [2]int{i + x, j + y}))
		i, j = i+x, j+y
	}
}

// alike is how many bytes two texts have in common at their beginning.
func alike(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// resume returns how many bytes of each of two texts, which differ in their first byte, belong to
// the difference: few, if many that are the same follow.
func resume(a, b []byte) (x, y int) {
	best := 0
	for moved := 1; moved <= maxShift; moved++ {
		for i := range moved + 1 {
			j := moved - i
			if i > len(a) || j > len(b) {
				continue
			}
			same := alike(a[i:min(i+maxShift, len(a))], b[j:])
			switch ended := i+same == len(a) && j+same == len(b); {
			case best == 0 && ended:
				return i, j
			case same >= enoughAlike && same-moved > best:
				best, x, y = same-moved, i, j
			}
		}
	}
	if best > 0 {
		return x, y
	}
	x, y = len(a), len(b)
	for x > 0 && y > 0 && a[x-1] == b[y-1] {
		x, y = x-1, y-1
	}
	return x, y
}

// region is the one from an offset to another on each side. Of the bytes that came, those from
// since on are the same before it.
func region(came, signed []byte, since int, at, end [2]int) Region {
	size, signedSize := end[0]-at[0], end[1]-at[1]
	after := alike(came[end[0]:min(end[0]+around, len(came))], signed[end[1]:])
	return Region{
		At: at[0], SignedAt: at[1], Size: size, SignedSize: signedSize,
		Before: came[max(at[0]-around, since):at[0]], After: came[end[0] : end[0]+after],
		Came: came[at[0] : at[0]+min(size, maxShown)], Signed: signed[at[1] : at[1]+min(signedSize, maxShown)],
	}
}
