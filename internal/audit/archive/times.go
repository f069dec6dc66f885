package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// timeForm is how times are written: UTC, with nine digits of fraction.
const timeForm = "2006-01-02T15:04:05.000000000Z"

// writeTimes returns the file of the times at which checkpoints were stored: a line for each tree,
// with its earliest time. Checkpoints without a time are left out.
func writeTimes(all []audit.Kept) []byte {
	earliest := map[tlog.Tree]time.Time{}
	var trees []tlog.Tree
	for _, k := range all {
		cp, err := audit.ReadCheckpoint(k.Note)
		if err != nil || k.Time.IsZero() {
			continue
		}
		known, ok := earliest[cp.Tree]
		if !ok {
			trees = append(trees, cp.Tree)
		}
		if !ok || k.Time.Before(known) {
			earliest[cp.Tree] = k.Time
		}
	}
	var text bytes.Buffer
	for _, tree := range trees {
		text.WriteString(timeLine(tree, earliest[tree]) + "\n")
	}
	return text.Bytes()
}

// readTimes reads such a file; archives of earlier versions have none.
func readTimes(path string) (map[tlog.Tree]time.Time, error) {
	file, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	times := map[tlog.Tree]time.Time{}
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		tree, at, ok := parseTime(lines.Text())
		if !ok {
			return times, fmt.Errorf("%s: line %d is not a time, a size and a root; the times from there on are not compared", folderTimes, n)
		}
		times[tree] = at
	}
	if err := lines.Err(); err != nil {
		return times, fmt.Errorf("%s: %w", folderTimes, err)
	}
	return times, nil
}

func timeLine(tree tlog.Tree, at time.Time) string {
	return fmt.Sprintf("%s %d %s", at.UTC().Format(timeForm), tree.N, tree.Hash)
}

// parseTime undoes timeLine; a line has one form.
func parseTime(line string) (tree tlog.Tree, at time.Time, ok bool) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 {
		return tree, at, false
	}
	at, err := time.Parse(timeForm, fields[0])
	if err != nil {
		return tree, at, false
	}
	if tree.N, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return tree, at, false
	}
	tree.Hash, err = tlog.ParseHash(fields[2])
	return tree, at, err == nil && timeLine(tree, at) == line
}
