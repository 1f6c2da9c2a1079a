// Package none is the quantizer that leaves weights at full precision: the
// baseline that the others are held against.
package none

import (
	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/elementwise"
)

// New returns the quantizer "none".
func New() quantizer.Quantizer {
	return elementwise.New(plugins.Description{
		Name:    "none",
		Version: "1.1.0",
		Summary: "full-precision weights, the baseline",
		Facts:   []plugins.Fact{{Name: "bits per weight", Value: "32"}},
	}, func(plugins.Values) elementwise.Rule {
		return elementwise.Rule{Fit: elementwise.Fixed(elementwise.Unit), Kernel: elementwise.Copy}
	})
}
