package quantizer

import (
	"fmt"

	"bittern/plugins/packed"
)

// Frozen is one weight matrix as it is deployed: planes of codes, each with its levels and
// scales, or without planes the values in full precision. A weight is
//
//	Σ Scales·Levels[code]   over Planes, in order
//
// where each product is rounded to float32 and the sum is added in float32. It is, bit for
// bit, what Quantize writes.
type Frozen struct {
	Name   string
	Planes []Plane   // none: full precision
	Values []float32 // full precision alone: Rows·Cols values
}

// Plane is a code for each weight. Package packed says how the usual formats number their
// codes.
type Plane struct {
	Bits   int       // width of a code, 1 to 16
	Codes  []uint16  // Rows·Cols codes, row by row
	Levels []float32 // by code, one codebook for the matrix, as multiples of Scales
	Scales []float32 // one for the matrix, or one a row
}

// Pack lays out the codes or values of the matrix, which is rows×cols. The result shares
// levels and scales with f. An error says why the matrix cannot be deployed.
func (f Frozen) Pack(rows, cols int) (packed.Matrix, error) {
	if len(f.Planes) == 0 {
		return packed.FromValues(f.Values, rows, cols)
	}
	if len(f.Values) != 0 {
		return packed.Matrix{}, fmt.Errorf("%d full-precision values beside %d planes of codes; a frozen weight has one or the other", len(f.Values), len(f.Planes))
	}
	planes := make([]packed.Codes, len(f.Planes))
	for i, p := range f.Planes {
		planes[i] = packed.Codes(p)
	}
	return packed.Pack(rows, cols, planes...)
}
