package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"receiver/internal/plain"
)

// table writes rows in columns. Cells come from outside, so what could move a
// terminal's cursor is escaped.
func table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// printTable prints rows in columns, or value with --output json.
func (a *app) printTable(value any, head []string, rows [][]string) error {
	if a.output == "json" {
		return printJSON(a.out, value)
	}
	return table(a.out, head, rows)
}

// printEach prints a row for each item, or with --output json what object makes of it, each on a
// line of its own.
func printEach[T any](a *app, items []T, object func(T) any, head []string, row func(T) []string) error {
	rows := make([][]string, 0, len(items))
	for _, item := range items {
		if a.output != "json" {
			rows = append(rows, row(item))
		} else if err := printJSON(a.out, object(item)); err != nil {
			return err
		}
	}
	if a.output == "json" {
		return nil
	}
	return table(a.out, head, rows)
}

// itself is for printEach.
func itself[T any](item T) any { return item }

// printable escapes what is not printable in a text from outside.
func printable(s string) string { return plain.Text(s) }

// printJSON writes a value on one line. Unprintable characters in a text from outside are escaped,
// as printable does: a terminal takes some of them for commands.
func printJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(plain.JSON(text.Bytes()))
	return err
}

// counted is a number with its noun, which has a regular plural.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
