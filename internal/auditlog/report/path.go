package report

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

// path computes every node from a leaf to the root, and refuses a proof that leads elsewhere.
//
// RFC 9162 section 2.1.3.2.
func path(proof tlog.RecordProof, tree tlog.Tree, index int64, leaf tlog.Hash) ([]Step, error) {
	steps := make([]Step, 0, len(proof))
	node, at, last := leaf, index, tree.N-1
	for _, sibling := range proof {
		side := "right"
		if at&1 == 1 || at == last {
			side = "left"
			node = tlog.NodeHash(sibling, node)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			node = tlog.NodeHash(node, sibling)
		}
		at, last = at>>1, last>>1
		steps = append(steps, Step{Side: side, Sibling: sibling.String(), Node: node.String()})
	}
	if last != 0 || node != tree.Hash {
		return nil, fmt.Errorf("%w: the path of leaf %d does not lead to the root", audit.ErrProof, index)
	}
	return steps, nil
}
