package config

import (
	"fmt"
	"slices"

	"github.com/agnivade/levenshtein"
)

// nearest returns the known word that was probably meant, or "".
func nearest(word string, known []string) string {
	if len(known) == 0 || len(word) > 100 {
		return ""
	}
	distance := func(k string) int { return levenshtein.ComputeDistance(word, k) }
	best := slices.MinFunc(known, func(a, b string) int { return distance(a) - distance(b) })
	// Further away than that, a suggestion is a guess.
	if distance(best) > max(2, len(word)/3) {
		return ""
	}
	return best
}

func meant(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", word)
}
