package gates

import "bittern/accel/kernels/isa"

var neon = assembly{
	lanes: 4,
	fetch: fetchNEON, moments: momentsNEON, sumColumns: sumColumnsNEON, fold: foldNEON,
	tanh: gateTanhNEON, sigmoid: gateSigmoidNEON, cellForward: cellForwardNEON,
	outputForward: outputForwardNEON, outputBackward: outputBackwardNEON,
	gatesBackward: gatesBackwardNEON, affinePairBackward: affinePairBackwardNEON,
	affineBackward: affineBackwardNEON, candidateForward: candidateForwardNEON,
	updateForward: updateForwardNEON, updateBackward: updateBackwardNEON,
}

// forLevel returns the kernels of a level.
func forLevel(level isa.Level) kernels {
	if level == isa.NEON {
		return vector{&neon}
	}
	return portable{}
}
