package failing

import "testing"

func Test(t *testing.T) {
	if one() != 1 {
		t.Error("one is not 1")
	}
}
