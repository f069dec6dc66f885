package sample

import (
	"errors"
	"testing"
	"time"
)

func Test(t *testing.T) {
	for name, held := range map[string]bool{
		"const": heldConst() == 16,
		"and":   heldAnd(true, true) && !heldAnd(true, false) && !heldAnd(false, true),
		"less":  heldLess(1, 2) && !heldLess(2, 2),
		"equal": heldEqual(nil) && !heldEqual(errors.ErrUnsupported),
		"sum":   heldSum(1, 3) == 7,
		"mask":  heldMask(5, 6) == 36,
		"sign":  heldSign(2) == -2,
		"text":  heldText("a") == "a!",
		"total": heldTotal([]int{1, 0, 3, 3}) == 7,
		"end":   heldEnd(3) == 0,
	} {
		if !held {
			t.Error(name)
		}
	}
	freeConst()
	freeOr(true, true)
	freeGreater("a", "b")
	freeUnequal(nil)
	freeRest(time.Second)
	freeTotal(1, 9)
}
