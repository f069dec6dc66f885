package page

import (
	"regexp"
	"strings"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/condition"
	"receiver/internal/runbook"
)

// health is how the receiver is, as the banner of every view shows it.
type health struct{ api.ReceiverStatus }

// Health asks once how the receiver is; nil for a browser whose token is not known.
func (v *visit) Health() *health {
	if v.health == nil && len(v.holder.Scopes) > 0 {
		s, err := client.Answer[api.ReceiverStatus](v.api.GetStatus(v.r.Context()))
		if err != nil {
			s = api.ReceiverStatus{Level: condition.Error, Text: "The state of the receiver is not known: " + err.Error()}
		}
		v.health = &health{s}
	}
	return v.health
}

// Word names the level.
func (h health) Word() string {
	switch h.Level {
	case condition.OK:
		return "OK"
	case condition.Warning:
		return "Warning"
	}
	return "Error"
}

// Mark begins the title of the browser's tab.
func (h health) Mark() string {
	switch h.Level {
	case condition.OK:
		return "✓"
	case condition.Warning:
		return "!"
	}
	return "✗"
}

// First is the worst that is wrong; nil if nothing is.
func (h health) First() *condition.Condition {
	if len(h.Conditions) == 0 {
		return nil
	}
	return &h.Conditions[0]
}

// Others are what is wrong besides.
func (h health) Others() []condition.Condition { return h.Conditions[min(1, len(h.Conditions)):] }

// runbook shows the section of docs/runbooks.md about an alert.
func (p *Page) runbook(v *visit) error {
	name := v.r.PathValue("name")
	book, there := runbook.Find(name)
	if !there {
		return api.NoSuchPath.Problem("there is no runbook %q", name)
	}
	return v.show("runbook", book.Name, book)
}

// span is a piece of a paragraph in Markdown.
type span struct {
	Text string
	Code bool
	// Href is a view; empty for text that leads nowhere.
	Href string
}

var marked = regexp.MustCompile("`([^`]+)`|\\[([^\\]]+)\\]\\(([^)]+)\\)")

// spans reads the Markdown of the runbooks: text, code and links. A link to another page of the
// documentation becomes text with the name of the page.
func spans(text string) (all []span) {
	at := 0
	for _, m := range marked.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, span{Text: text[at:m[0]]})
		at = m[1]
		if m[2] >= 0 {
			all = append(all, span{Text: text[m[2]:m[3]], Code: true})
			continue
		}
		words, to := text[m[4]:m[5]], text[m[6]:m[7]]
		bare := strings.Trim(words, "`")
		link := span{Text: bare, Code: bare != words}
		if _, there := runbook.Find(bare); there && strings.HasPrefix(to, "#") {
			link.Href = "/runbooks/" + bare
			all = append(all, link)
			continue
		}
		if to = " (docs/" + to + ")"; bare != words || !strings.Contains(to, "/"+bare) {
			all = append(all, link)
		}
		all = append(all, span{Text: strings.TrimPrefix(to, " ")})
	}
	return append(all, span{Text: text[at:]})
}
