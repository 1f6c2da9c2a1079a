//go:build !unix

package guard

import "testing"

// pages returns n float32; this system offers no page to put behind them.
func pages(_ testing.TB, n int) []float32 { return make([]float32, n) }
