package main

import (
	"context"
	"fmt"
	"strings"
)

// sealed seals what the run has stored, and shows the checkpoints that now vouch for it.
func (d *demonstration) sealed(ctx context.Context) error {
	// The refused ones are recorded when there is time, so they were waited for before.
	checkpoints, err := d.in.sealing.Seal(ctx)
	if err != nil {
		return fmt.Errorf("sealing the run: %w", err)
	}
	words := make([]string, 0, len(checkpoints))
	logs := make([]map[string]any, 0, len(checkpoints))
	for _, cp := range checkpoints {
		words = append(words, fmt.Sprintf("%s: size %d, root %s", cp.Origin, cp.Tree.N, cp.Tree.Hash))
		logs = append(logs, checkpointJSON(cp))
	}
	for i, n := range []int64{2, 4} { // submitted and finished; the repeat and three forgeries
		if got := checkpoints[i].Tree.N; got < n {
			return fmt.Errorf("%s seals %d leaves, want at least %d", checkpoints[i].Origin, got, n)
		}
	}
	return d.tell("sealed", "whoever changes one byte of it now is found out by `receiver audit verify`\n           "+
		strings.Join(words, "\n           "), map[string]any{"logs": logs})
}
