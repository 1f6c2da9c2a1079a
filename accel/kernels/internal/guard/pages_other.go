//go:build !unix

package guard

import "testing"

// Slice returns n zero elements; this system offers no page to put behind them.
func Slice[E any](_ testing.TB, n int) []E { return make([]E, n) }
