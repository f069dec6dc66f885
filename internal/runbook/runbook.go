// Package runbook reads docs/runbooks.md, of which every copy of the program has the text: for each
// alert it says what it means, what to check, what to do, and when it is over.
package runbook

import (
	"strings"
	"sync"

	"receiver"
)

// Runbook is the section of one alert.
type Runbook struct {
	// Name is that of the alert, such as ReceiverStoreFull.
	Name string
	// Parts are its paragraphs, in Markdown.
	Parts []Part
}

// Part is one paragraph of a runbook.
type Part struct {
	// Label is Meaning, Check, Do or Over.
	Label string
	// Text is the rest, in one line.
	Text string
}

var all = sync.OnceValue(func() map[string]Runbook {
	books := map[string]Runbook{}
	for _, section := range strings.Split(receiver.Runbooks, "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		books[name] = Runbook{name, parts(text)}
	}
	return books
})

// parts reads the list of a section.
func parts(text string) (all []Part) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if item, begins := strings.CutPrefix(line, "- **"); begins {
			label, rest, _ := strings.Cut(item, "**: ")
			all = append(all, Part{Label: label, Text: rest})
		} else if line != "" && len(all) > 0 {
			all[len(all)-1].Text += " " + line
		}
	}
	return all
}

// Find returns the runbook of an alert.
func Find(name string) (Runbook, bool) {
	b, there := all()[name]
	return b, there
}

// Meaning returns the first sentence of what an alert means, without a full stop; empty if there is
// no such alert.
func Meaning(name string) string {
	b := all()[name]
	if len(b.Parts) == 0 {
		return ""
	}
	first, _, _ := strings.Cut(b.Parts[0].Text+" ", ". ")
	first = strings.ReplaceAll(first, "`", "")
	if first == "" {
		return ""
	}
	return strings.ToUpper(first[:1]) + first[1:]
}
