package main

import "receiver/internal/plain"

// Commands print texts from outside, so each of these escapes what could move a cursor.
var (
	table     = plain.Table
	printable = plain.Text
	printJSON = plain.WriteJSON
)

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
