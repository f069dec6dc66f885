package main

import (
	"context"
	"fmt"
	"io"

	"receiver/internal/preflight"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
	"receiver/internal/words"
)

// checked checks the beginning of a file, and returns what reads all of it.
func (a *app) checked(ctx context.Context, client *submit.Client, f submitFlags, file io.Reader) (io.Reader, error) {
	if f.unchecked {
		return file, nil
	}
	head, whole, all, err := preflight.Peek(file)
	if err != nil {
		return nil, fmt.Errorf("reading --file: %w", err)
	}
	report := platform.Preflight(ctx, client, f.object, preflight.File{Name: f.file, Metadata: f.metadata, Head: head, Whole: whole})
	if a.output == "json" && (f.checkOnly || report.Errors > 0) {
		err = printJSON(a.out, report)
		if err == nil && report.Errors > 0 {
			err = silentError{}
		}
		return nil, err
	}
	for _, found := range report.Findings {
		a.say("%s: %s: %s", found.Severity, printable(f.file), found.Message)
	}
	if report.More > 0 {
		a.say("%s more", words.Count(report.More, "finding"))
	}
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
