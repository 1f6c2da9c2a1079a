// Package asiclowpower is the backend "asic-lowpower": the designs of "Learning
// Recurrent Binary/Ternary Weights" (arXiv 1809.11086, section 6) that all have 100
// units and spend what narrow weights save on less area and power.
package asiclowpower

import (
	"bittern/accel/backends/asic"
	"bittern/plugins/backend"
)

// New returns the backend "asic-lowpower".
func New() backend.Backend {
	return asic.New(asic.Design{
		Name:       "asic-lowpower",
		Summary:    "simulated 65 nm accelerator with 100 MAC units, small for narrow weights",
		Technology: "TSMC 65 nm",
		Source:     "arXiv 1809.11086 section 6, recalled, unverified",
		Clock:      400e6,
		Lanes:      100,
		Binary:     asic.Column{Units: 100, Area: 0.24, Power: 0.037},
		Ternary:    asic.Column{Units: 100, Area: 0.42, Power: 0.061},
		TwelveBit:  asic.Column{Units: 100, Area: 2.56, Power: 0.336},
	})
}
