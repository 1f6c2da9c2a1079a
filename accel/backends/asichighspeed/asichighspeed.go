// Package asichighspeed is the backend "asic-highspeed": the designs of "Learning
// Recurrent Binary/Ternary Weights" (arXiv 1809.11086, section 6) that spend what
// narrow weights save on more units in about the same area and power.
package asichighspeed

import (
	"bittern/accel/backends/asic"
	"bittern/plugins/backend"
)

// New returns the backend "asic-highspeed".
func New() backend.Backend {
	return asic.New(asic.Design{
		Name:       "asic-highspeed",
		Summary:    "simulated 65 nm accelerator with 1000 binary, 500 ternary or 100 12-bit MAC units",
		Technology: "TSMC 65 nm",
		Source:     "arXiv 1809.11086 section 6, recalled, unverified",
		Clock:      400e6,
		Lanes:      100,
		Binary:     asic.Column{Units: 1000, Area: 2.54, Power: 0.347},
		Ternary:    asic.Column{Units: 500, Area: 2.16, Power: 0.302},
		TwelveBit:  asic.Column{Units: 100, Area: 2.56, Power: 0.336},
	})
}
