package submit_test

import (
	"io"
	"strings"
	"testing"

	"receiver/internal/growth"
	"receiver/internal/submit"
)

// Rows have any shape, because any user of the platform can fill its objects.
func TestNormaliseGrowsWithItsInput(t *testing.T) {
	shapes := growth.Bytes()
	shapes["rows"] = growth.Around("[", `{"a":[1,{"b":"c"}]},`, `1]`)
	shapes["lines"] = growth.Repeat("{\"a\":1}\n")
	growth.Linear(t, 16<<10, shapes, func(s string) { _, _ = io.Copy(io.Discard, submit.Normalise(strings.NewReader(s))) })
}
