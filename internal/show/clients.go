package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"receiver/internal/access"
	"receiver/internal/consumers"
	"receiver/internal/plain"
	"receiver/internal/remote"
	"receiver/internal/service"
)

// tokenRow is a token as list shows it.
type tokenRow struct {
	Name     string         `json:"name"`
	Scopes   []access.Scope `json:"scopes"`
	Made     time.Time      `json:"made,omitzero"`
	Expires  time.Time      `json:"expires,omitzero"`
	Expired  bool           `json:"expired"`
	LastUsed time.Time      `json:"last_used,omitzero"`
}

// Tokens prints tokens, and when each was last used, by name.
func (p Printer) Tokens(all []access.Token, used map[string]time.Time) error {
	listed, rows := []tokenRow{}, [][]string{}
	for _, t := range all {
		r := tokenRow{t.Name, t.Scopes, t.Made, t.Expires, t.Expired(time.Now()), used[t.Name]}
		listed = append(listed, r)
		end := Moment(t.Expires)
		if r.Expired {
			end += " (expired)"
		}
		rows = append(rows, []string{t.Name, strings.Trim(fmt.Sprint(t.Scopes), "[]"), Moment(t.Made), end, Moment(r.LastUsed)})
	}
	return p.Table(listed, []string{"NAME", "SCOPES", "MADE", "EXPIRES", "LAST USED"}, rows)
}

// Added prints the lines that a new consumer needs, and says whether it needs a client certificate,
// too.
func (p Printer) Added(certificate bool, c consumers.Connection) error {
	p.Say("consumer %s may read events from %s; its credentials are in %s", c.Name, strings.Join(c.Durables, ", "), c.Credentials)
	if certificate {
		p.Say("note: it also needs a client certificate from an authority in nats.embedded.tls.ca_file")
	}
	if p.JSON {
		return plain.WriteJSON(p.Out, c)
	}
	if _, err := io.WriteString(p.Out, c.Go()); err != nil {
		return err
	}
	p.Say("with the nats command: %s", c.Command())
	return nil
}

// Consumers prints the durables of consumers.
func (p Printer) Consumers(rows []service.ConsumerDurable) error {
	head := []string{"CONSUMER", "DURABLE", "PENDING", "UNACKNOWLEDGED", "LISTENING", "LAST", "KEY"}
	return Each(p, rows, Itself, head, func(r service.ConsumerDurable) []string {
		last := "never"
		if r.Last != nil {
			last = Moment(*r.Last)
		}
		listening := "no"
		switch {
		case r.Missing:
			listening = "its durable is gone: remove and add it again"
		case r.Waiting > 0:
			listening = "yes"
		}
		return []string{r.Consumer, r.Durable, fmt.Sprint(r.Pending), fmt.Sprint(r.Unacknowledged), listening, last, r.Key}
	})
}

// Contexts prints the contexts of a user; a star marks the current one.
func (p Printer) Contexts(all remote.Contexts) error {
	type row struct {
		Name    string `json:"name"`
		Current bool   `json:"current"`
		remote.Context
	}
	rows, listed := [][]string{}, []row{}
	for _, name := range all.Names() {
		r, mark := row{name, name == all.Current, all.Contexts[name]}, ""
		if r.Current {
			mark = "*"
		}
		listed = append(listed, r)
		rows = append(rows, []string{mark, name, r.URL, r.TokenFile, r.CAFile})
	}
	return p.Table(listed, []string{"", "NAME", "URL", "TOKEN FILE", "CA FILE"}, rows)
}
