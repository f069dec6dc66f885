package main

import (
	"receiver/internal/plain"
	"receiver/internal/show"
)

// Commands print texts from outside, so each of these escapes what could move a cursor.
var (
	printable = plain.Text
	printJSON = plain.WriteJSON
)

// show returns what prints answers.
func (a *app) show() show.Printer {
	return show.Printer{Out: a.out, Talk: a.talk, JSON: a.output == "json"}
}

// say tells the person in front of the terminal; it is no result.
func (a *app) say(format string, args ...any) { a.show().Say(format, args...) }
