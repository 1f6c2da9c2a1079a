package asic

import (
	"math/bits"

	"bittern/accel/backends/asic/internal/datapath"
	"bittern/plugins/stepgraph"
)

// The circuits of layer normalization and attention, see "Vectors" in the package comment.
const (
	rootUnit = "root unit and wide sums" // a part of the area

	// rootCycles are the cycles of a root in the designs of this package: one for leading zeros
	// and table, three for products, and one for the product with a constant or with itself.
	rootCycles = 5

	rootTableWords = 192
	sumBits        = 40 // of the lanes' sum of a vector
	squareBits     = 64 // of the lanes' sum of squares or of exponentials
	factorBits     = 16 // of a weight of the attention, as it is stored
	halfBits       = 12 // of each half of a deviation: its square is three products of halves
)

// isVector says that an operation is over all elements of a vector or all steps of a sequence.
func isVector(op stepgraph.Op) bool {
	return op == stepgraph.Normalize || op == datapath.Softmax || op == datapath.WeightedSum
}

// vectorCycles returns the cycles of such an operation: passes of the lanes over all elements, and
// cycles in which lanes add the sums of other lanes to their own, or compare them.
func (m model) vectorCycles(w datapath.Work) float64 {
	lanes := m.design.Lanes
	pass, together := ceil(w.Rows, lanes), bits.Len(uint(min(w.Rows, lanes)-1))
	switch w.Op {
	case stepgraph.Normalize:
		// The sum and the mean; deviations and their squares; the root; the products.
		return float64(pass + together + 1 + 4*pass + together + m.design.Root.Cycles + pass)
	case datapath.Softmax:
		// The largest; product with log₂ e, table, sum; the reciprocal; the products.
		return float64(pass + together + 3*pass + together + m.design.Root.Cycles + pass)
	default: // weighted sum: a product
		return float64(pass)
	}
}

// vectorEnergy is the energy of such an operation by part, in joules.
func (m model) vectorEnergy(w datapath.Work) map[string]float64 {
	d, rows := m.design, float64(w.Rows)
	sums := rows + float64(min(w.Rows, d.Lanes)-1) // additions of elements, and of lanes' sums
	product := m.multiply(d.ActivationBits, d.ActivationBits)
	read, write := m.read(d.Activations.Words), m.write(d.Activations.Words)
	switch w.Op {
	case stepgraph.Normalize:
		return map[string]float64{
			normalization: sums*(m.add(sumBits)+m.add(squareBits)) + m.multiply(sumBits, 24) + m.rootEnergy() +
				rows*(m.add(accumulatorBits)+3*m.multiply(halfBits, halfBits)+product+m.add(accumulatorBits)),
			activationMemory: rows * accumulatorBits * (3*read + 2*write),
			clockControl:     rows * (sumBits + squareBits + 2*accumulatorBits) * m.register(),
		}
	case datapath.Softmax:
		return map[string]float64{
			arithmetic:       sums*(m.add(accumulatorBits)+m.add(squareBits)) + m.rootEnergy() + rows*(m.add(accumulatorBits)+2*product),
			nonlinear:        rows * float64(d.ActivationBits) * m.read(d.Functions.Words),
			activationMemory: rows * ((2*accumulatorBits+factorBits)*read + 2*factorBits*write),
			clockControl:     rows * (2*accumulatorBits + squareBits + 2*factorBits) * m.register(),
		}
	default:
		return map[string]float64{
			arithmetic:       rows * (product + m.add(accumulatorBits)),
			activationMemory: (rows*float64(d.ActivationBits)+factorBits)*read + rows*accumulatorBits*(read+write),
			clockControl:     rows * accumulatorBits * m.register(),
		}
	}
}

// rootEnergy is the energy of a root, in joules: that of a word of the table, a sum and the
// products that package datapath makes.
func (m model) rootEnergy() float64 {
	return float64(m.design.ActivationBits)*m.read(rootTableWords) + m.add(26) +
		m.multiply(12, 12) + m.multiply(24, 24) + m.multiply(12, 26) + m.multiply(17, 17)
}

// rootLogic is the area of the logic of the root unit, and of the bits that the lanes' wide sums
// have beyond an accumulator's, in mm². Counters of leading zeros and shifters are left out.
func (m model) rootLogic() float64 {
	unit := m.costs.MultiplierArea(24, 26) + m.costs.AdderArea(26) + m.costs.RegisterArea(63+24+12+24+26+17)
	wider := m.costs.AdderArea(squareBits-accumulatorBits) + m.costs.RegisterArea(squareBits-accumulatorBits)
	return (unit + float64(m.design.Lanes)*wider) * m.factors.LogicArea
}

func (m model) rootTableBits() float64 { return float64(rootTableWords * m.design.ActivationBits) }

// rootArea is the area of rootLogic and of the table, in mm².
func (m model) rootArea() float64 {
	return m.rootLogic() + m.memoryArea(m.rootTableBits(), rootTableWords)
}

// rootLeakage is the power that leaks from both, in watts.
func (m model) rootLeakage() float64 {
	return m.costs.LogicLeakage(m.rootLogic()) + m.costs.SRAMLeakage(m.rootTableBits())
}
