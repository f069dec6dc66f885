package show

import (
	"fmt"
	"slices"
	"strings"

	"receiver/internal/plain"
	"receiver/internal/words"
)

// Failure is an error as a command ends with it, in words or as JSON: what is the case and, where
// the error says so, what to do next.
func Failure(err error, asJSON bool) string {
	if !asJSON {
		return plain.Lines(fmt.Sprintf("receiver: %v\n", err))
	}
	var failure struct {
		Error string `json:"error"`
		Hint  string `json:"hint,omitempty"`
	}
	failure.Error, failure.Hint = words.Advice(err.Error())
	var text strings.Builder
	_ = plain.WriteJSON(&text, failure) // texts always can be written
	return text.String()
}

// AsksForJSON reports whether a command line asks for JSON, also one that is not understood.
func AsksForJSON(args []string) bool {
	for i, arg := range args {
		if slices.Contains([]string{"--json", "-ojson", "-o=json", "--output=json"}, arg) ||
			arg == "json" && i > 0 && slices.Contains([]string{"-o", "--output"}, args[i-1]) {
			return true
		}
	}
	return false
}
