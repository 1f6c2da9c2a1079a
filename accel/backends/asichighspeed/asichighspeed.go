// Package asichighspeed is the backend "asic-highspeed": the designs of "Learning
// Recurrent Binary/Ternary Weights" (arXiv 1809.11086, section 6) that spend what
// narrow weights save on more units in about the same area and power.
package asichighspeed

import (
	"bittern/accel/backends/asic"
	"bittern/plugins/backend"
)

// New returns the backend "asic-highspeed".
func New() backend.Backend { return asic.Instance("asic-highspeed") }
