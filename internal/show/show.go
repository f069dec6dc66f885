// Package show prints the answers of commands, in tables for people and in JSON for programs. An
// answer looks the same whether it was made here or came from another machine by HTTP. It escapes
// what could move a cursor: answers hold texts of strangers.
//
// It asks nobody and decides nothing.
package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"receiver/internal/plain"
)

// Printer prints answers to Out, and what is none to Talk.
type Printer struct {
	Out, Talk io.Writer
	// JSON prints JSON in place of tables.
	JSON bool
}

// Say tells the person in front of the terminal; it is no result.
func (p Printer) Say(format string, args ...any) {
	_, _ = fmt.Fprint(p.Talk, plain.Lines(fmt.Sprintf(format+"\n", args...)))
}

// Table prints rows in columns, or value as JSON.
func (p Printer) Table(value any, head []string, rows [][]string) error {
	if p.JSON {
		return plain.WriteJSON(p.Out, value)
	}
	return plain.Table(p.Out, head, rows)
}

// Line prints one line of text, or value as JSON.
func (p Printer) Line(value any, text string) error {
	if p.JSON {
		return plain.WriteJSON(p.Out, value)
	}
	_, err := fmt.Fprintln(p.Out, plain.Text(text))
	return err
}

// Each prints a row for each item, or what object makes of it as JSON, each on a line of its own.
func Each[T any](p Printer, items []T, object func(T) any, head []string, row func(T) []string) error {
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		if !p.JSON {
			rows = append(rows, row(item))
		} else if err := plain.WriteJSON(p.Out, object(item)); err != nil {
			return err
		}
	}
	if p.JSON {
		return nil
	}
	return plain.Table(p.Out, head, rows)
}

// Itself is for Each.
func Itself[T any](item T) any { return item }

// Moment shows a time that may be none.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Number shows a count that may be unknown.
func Number(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// shown is a text, or a dash for none.
func shown(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}
