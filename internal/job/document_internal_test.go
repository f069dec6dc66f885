package job

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// FuzzCount holds what is taken for a number of rows against exact arithmetic.
func FuzzCount(f *testing.F) {
	for _, s := range []string{"3", " 3 ", "3.0", "30e-1", "+3", "-0", "007.0", "9223372036854775807", "9223372036854775808", "0x3", "1_0", "1/1", "3.", ".5", "", "+-3", "1e99", "\u0663", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, _ := json.Marshal(s)
		values := []string{string(quoted)}
		if json.Valid([]byte(s)) && s == strings.TrimSpace(s) && s[0] != '"' {
			values = append(values, s)
		}
		for _, value := range values {
			n, ok := asCount(value)
			if !ok {
				continue
			}
			exact, valid := new(big.Rat).SetString(strings.TrimPrefix(strings.TrimSpace(s), "+"))
			if n < 0 || !valid && strings.Trim(strings.TrimSpace(s), "+0123456789") != "" || valid && exact.Cmp(new(big.Rat).SetInt64(n)) != 0 {
				t.Errorf("asCount(%s) = %d, and that is %v", value, n, exact)
			}
		}
	})
}
