package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"receiver/internal/plain"
)

// References to secrets, as in the configuration.
const (
	envReference  = "env:"
	fileReference = "file:"
)

// Question is about one of the answers.
type Question struct {
	// Flag is the name of its flag, and Help says what it is.
	Flag, Help string
	// Default is the answer if there is none.
	Default string
	// needed says that there must be an answer, though it may be empty.
	needed bool

	ask    string // on a terminal; empty if it is only a flag
	path   string // of the setting, for the source x
	value  func(*Answers) *string
	secret bool
	file   func(*Answers) string // to which a secret is written
}

var questions = []Question{
	{
		Flag: "source", Help: "`name` of the source, such as crm: 1 to 32 of a-z 0-9 - (required)", needed: true,
		ask: "Name of the source, 1 to 32 of a-z 0-9 -, such as crm", path: "", value: func(a *Answers) *string { return &a.Source },
	},
	{
		Flag: "base-url", Help: "`address` of the platform's API in your region (required)", needed: true,
		ask:  "Address of the platform's API; the address bar of its console shows your region. Such as\nhttps://api.openconnectors.eu10.ext.hana.ondemand.com/elements/api-v2",
		path: "base_url", value: func(a *Answers) *string { return &a.BaseURL },
	},
	{
		Flag: "callback-base-url", Help: "`address` at which the platform reaches this receiver, such\nas https://hooks.example.com; empty if other programs submit\nthe jobs (required)", needed: true,
		ask:  "Address at which the platform reaches this receiver, such as https://hooks.example.com\n(empty: other programs submit the jobs)",
		path: "callback_base_url", value: func(a *Answers) *string { return &a.CallbackURL },
	},
	{
		Flag: "hub", Help: "`hub` of the connector, such as crm (default: none)",
		ask: "Hub of the connector, such as crm (empty: none)", path: "hub", value: func(a *Answers) *string { return &a.Hub },
	},
	{
		Flag: "element-token", Help: "`place` of the element token: env:NAME or file:PATH\n(default: none, so this receiver submits no jobs)",
		ask:  "Element token (empty: none, so this receiver submits and polls no jobs)",
		path: "element_token", value: func(a *Answers) *string { return &a.ElementToken }, secret: true, file: func(a *Answers) string { return a.Source + ".element-token" },
	},
	{
		Flag: "user-secret", Help: "`place` of the user secret: env:NAME or file:PATH\n(default: none)",
		ask: "User secret (empty: none)", path: "user_secret", value: func(a *Answers) *string { return &a.UserSecret }, secret: true, file: func(a *Answers) string { return a.Source + ".user-secret" },
	},
	{
		Flag: "signature-key", Help: "`place` of the signature key: env:NAME or file:PATH\n(default: a new key)",
		ask:  "Signature key that the platform has already (empty: make a new one)",
		path: "signature_keys[0].value", value: func(a *Answers) *string { return &a.SignatureKey }, secret: true, file: (*Answers).keyFile,
	},
	{
		Flag: "store-folder", Help: "`folder` for the events", Default: "receiver-data",
		path: "nats.embedded.folder", value: func(a *Answers) *string { return &a.Store },
	},
	{
		Flag: "anchor", Help: "`folder` for copies of checkpoints, best on a share that this\nmachine cannot change", Default: anchor,
		path: "audit.anchors[0].directory", value: func(a *Answers) *string { return &a.Anchor },
	},
}

// Questions calls add for each question, with the place of its answer.
func (a *Answers) Questions(add func(q Question, answer *string)) {
	for _, q := range questions {
		add(q, q.value(a))
	}
}

// Unanswered returns the flags of the needed answers that are not given.
func Unanswered(given func(flag string) bool) (flags []string) {
	for _, q := range questions {
		if q.needed && !given(q.Flag) {
			flags = append(flags, "--"+q.Flag)
		}
	}
	return flags
}

// questionOf returns the question about a setting.
func questionOf(path string) (Question, bool) {
	_, ofSource, found := strings.Cut(strings.TrimPrefix(path, "sources."), ".")
	for _, q := range questions {
		if q.path == path || found && q.path == ofSource {
			return q, true
		}
	}
	// The name of a source is the only key that can be wrong.
	return questions[0], strings.HasPrefix(path, "sources")
}

// refused says why an answer cannot be in a configuration. It does not repeat a secret.
func (q Question) refused(answer string) error {
	name, reference := strings.CutPrefix(answer, envReference)
	if !reference {
		name, reference = strings.CutPrefix(answer, fileReference)
	}
	switch {
	case q.secret && answer != "" && (!reference || name == ""):
		return fmt.Errorf("--%s is neither env:NAME nor file:PATH; every user of the machine can read a secret on a command line", q.Flag)
	case strings.ContainsFunc(answer, unicode.IsControl):
		return fmt.Errorf("--%s contains a control character", q.Flag)
	}
	return nil
}

// Terminal is where questions are asked.
type Terminal struct {
	In  io.Reader
	Out io.Writer
	// Hidden reads a line that is not shown.
	Hidden func() (string, error)
}

// Ask asks every question to which no answer is given, and each again until its answer is right.
func (a *Answers) Ask(t Terminal, given func(flag string) bool) error {
	lines := bufio.NewReader(t.In)
	for _, q := range questions {
		if q.ask == "" || given(q.Flag) || q.Flag == "user-secret" && a.ElementToken == "" {
			continue
		}
		for {
			answer, err := t.answer(q, lines)
			if err != nil {
				return fmt.Errorf("nothing was written: reading the answer: %w", err)
			}
			if wrong := a.take(q, answer); wrong != nil {
				_, _ = fmt.Fprintln(t.Out, plain.Text(wrong.Error()))
				continue
			}
			break
		}
	}
	return nil
}

// answer asks one question.
func (t Terminal) answer(q Question, lines *bufio.Reader) (string, error) {
	_, _ = fmt.Fprintf(t.Out, "%s\n> ", q.ask)
	if q.secret {
		answer, err := t.Hidden()
		_, _ = fmt.Fprintln(t.Out, "(not shown)")
		return answer, err
	}
	line, err := lines.ReadString('\n')
	if line != "" {
		err = nil
	}
	return strings.TrimSpace(line), err
}

// take takes an answer, or says why not.
func (a *Answers) take(q Question, answer string) error {
	at := q.value(a)
	if q.secret {
		delete(a.typed, q.file(a))
	}
	if q.secret && answer != "" {
		if err := (Question{}).refused(answer); err != nil {
			return errors.New("the secret contains a control character")
		}
		name := q.file(a)
		if a.typed == nil {
			a.typed = map[string]string{}
		}
		a.typed[name], answer = answer, fileReference+name
	}
	*at = answer
	if err := q.refused(answer); err != nil {
		return err
	}
	for _, f := range a.faults() {
		if wrong, ok := questionOf(f.Path); ok && wrong.Flag == q.Flag {
			return inWords(f)
		}
	}
	return a.Free()
}
