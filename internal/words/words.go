// Package words writes the parts of messages that follow a rule: a count with its noun, and what a
// word that is not known was probably meant to be. It knows none of the words itself.
package words

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Count returns a number with its noun, which has a regular plural: "1 job", "2 jobs", "0 copies".
func Count[N ~int | ~int64 | ~uint64](n N, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func plural(noun string) string {
	stem, y := strings.CutSuffix(noun, "y")
	if y && !strings.ContainsRune("aeiou", rune(stem[len(stem)-1])) {
		return stem + "ies"
	}
	if strings.HasSuffix(noun, "s") {
		return noun + "es"
	}
	return noun + "s"
}

// longest is the length of the longest word that is compared with others.
const longest = 100

// Nearest returns the known word that was probably meant, or "".
func Nearest(word string, known []string) string {
	if len(known) == 0 || len(word) > longest {
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

// Check returns nil if a word is known, else an error that names the one that was probably meant,
// and all.
func Check(word string, known []string) error {
	if slices.Contains(known, word) {
		return nil
	}
	if len(word) > longest {
		word = strings.ToValidUTF8(word[:longest], "") + "…"
	}
	meant := ""
	if near := Nearest(word, known); near != "" {
		meant = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return fmt.Errorf("%q is unknown%s; known: %s", word, meant, strings.Join(known, ", "))
}

// Strings returns words of another type as text.
func Strings[S ~string](all []S) []string {
	texts := make([]string, 0, len(all))
	for _, s := range all {
		texts = append(texts, string(s))
	}
	return texts
}

// Advice parts a message of the form "what is the case; what to do next" at its last semicolon. The
// second part is empty if there is none, or if the message has several lines.
func Advice(message string) (what, next string) {
	i := strings.LastIndex(message, "; ")
	if i < 0 || strings.Contains(message, "\n") {
		return message, ""
	}
	return message[:i], message[i+2:]
}
