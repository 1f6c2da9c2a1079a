// Package asiclowpower is the backend "asic-lowpower": the designs of "Learning
// Recurrent Binary/Ternary Weights" (arXiv 1809.11086, section 6) that all have 100
// units and spend what narrow weights save on less area and power.
package asiclowpower

import (
	"bittern/accel/backends/asic"
	"bittern/plugins/backend"
)

// New returns the backend "asic-lowpower".
func New() backend.Backend { return asic.Instance("asic-lowpower") }
