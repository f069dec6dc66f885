// Package archive writes a log into a folder of plain files, and reads and verifies such a
// folder where there is no server. docs/evidence.md has its layout.
//
// It never removes or changes a record: what it exports stays in the stream.
package archive
