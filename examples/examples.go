// Package examples holds the files that the demo and the documentation use.
package examples

import _ "embed"

// SampleCSV is the file of ten contacts from the platform's own documentation.
//
//go:embed sample.csv
var SampleCSV []byte
