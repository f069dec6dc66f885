package main

import (
	"fmt"
	"io"

	"receiver/internal/preflight"
	"receiver/internal/words"
)

// checked has the beginning of a file checked, and returns what reads all of it.
func (a *app) checked(f submitFlags, file io.Reader, check func(preflight.File) (preflight.Report, error)) (io.Reader, error) {
	if f.unchecked {
		return file, nil
	}
	head, whole, all, err := preflight.Peek(file)
	if err != nil {
		return nil, fmt.Errorf("reading --file: %w", err)
	}
	report, err := check(preflight.File{Name: f.file, Metadata: f.metadata, Head: head, Whole: whole})
	if err != nil {
		return nil, fmt.Errorf("checking --file: %w", err)
	}
	if a.output == "json" && (f.checkOnly || report.Errors > 0) {
		err = printJSON(a.out, report)
		if err == nil && report.Errors > 0 {
			err = silentError{}
		}
		return nil, err
	}
	a.show().Findings(f.file, report)
	if report.Errors > 0 {
		return nil, fmt.Errorf("%s was not uploaded: the check found %s; correct the file, or give --no-check to upload it unchanged",
			printable(f.file), words.Count(report.Errors, "error"))
	}
	if f.checkOnly {
		_, err = fmt.Fprintf(a.out, "%s: %s and %s checked, no errors\n", printable(f.file),
			words.Count(len(report.Columns), "column"), words.Count(report.Rows, "row"))
	}
	return all, err
}
