// Package sample has an operator of each kind. Its tests hold the functions whose names begin with
// Held, and call the others.
package sample

import "time"

const heldBytes = 2 << 3
const freeBytes = 3 * 4

type size uint8

func heldConst() int { return heldBytes }
func freeConst() int { return freeBytes }

func heldAnd(a, b bool) bool { return a && b }
func freeOr(a, b bool) bool  { return a || b }

func heldLess(a, b int) bool       { return a < b }
func freeGreater(a, b string) bool { return a >= b }

func heldEqual(e error) bool { return e == nil }
func freeUnequal(a any) bool { return a != nil }

func heldSum(a, b size) size           { return a + b*2 }
func freeRest(d time.Duration) float64 { return d.Seconds() / 2 }
func heldMask(a, b uint64) uint64      { return a&b | 1<<a }
func heldSign(a int) int               { return -a }
func heldText(a string) string         { return a + "!" }
func heldTotal(all []int) (n int) {
	for i := 0; i < len(all); i++ {
		if all[i] == 0 {
			continue
		}
		n += all[i]
	}
	return n
}

func freeTotal(all ...uint) (n uint) {
	for _, v := range all {
		if v == 9 {
			break
		}
		n |= v
	}
	return n
}

func heldEnd(n int) int {
	for n > 0 {
		n--
	}
	return n
}
