// Package receiver holds what goes with every copy of the program.
package receiver

import _ "embed"

// Notice is the file NOTICE: the licences of all modules that the program is built with.
// `go test ./internal/notices -update` writes it.
//
//go:embed NOTICE
var Notice string

// Example is the file config.yaml: all settings with their defaults and comments.
//
//go:embed config.yaml
var Example string

// Runbooks is the file docs/runbooks.md: a section for each alert.
//
//go:embed docs/runbooks.md
var Runbooks string
