package consumers

import (
	"fmt"
	"strings"
)

// Connection is what a consumer connects to the server with.
type Connection struct {
	Name     string   `json:"name"`
	Key      string   `json:"key"`
	Durables []string `json:"durables"`
	// Credentials is the file with its credentials.
	Credentials string `json:"credentials"`
	InboxPrefix string `json:"inbox_prefix"`
	URL         string `json:"url"`
	// TLS is true if the server's port is encrypted.
	TLS bool `json:"-"`
}

// Command is the command line by which the nats command takes an event.
func (c Connection) Command() string {
	first := ""
	if c.TLS {
		first = " --tlsfirst"
	}
	return fmt.Sprintf("nats --server %s%s --creds %s --inbox-prefix %s consumer next JOBS %s", c.URL, first, c.Credentials, c.InboxPrefix, c.Durables[0])
}

// Go is how a program in Go takes events: a line for each durable after the first two.
func (c Connection) Go() string {
	var b strings.Builder
	first := ""
	if c.TLS {
		first = ", nats.TLSHandshakeFirst()"
	}
	fmt.Fprintf(&b, "nc, err := nats.Connect(%q, nats.UserCredentials(%q), nats.CustomInboxPrefix(%q)%s)\n", c.URL, c.Credentials, c.InboxPrefix, first)
	b.WriteString("js, err := jetstream.New(nc)\n")
	for i, d := range c.Durables {
		name := "events"
		if i > 0 {
			name += fmt.Sprint(i + 1)
		}
		fmt.Fprintf(&b, "%s, err := js.Consumer(ctx, \"JOBS\", %q)\n", name, d)
	}
	return b.String()
}
