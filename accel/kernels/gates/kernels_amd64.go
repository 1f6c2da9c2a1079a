package gates

import "bittern/accel/kernels/isa"

//go:generate go -C ../../_gen run ./gates -pkg gates -out ../kernels/gates/gates_amd64.s -stubs ../kernels/gates/stubs_amd64.go -arm64 ../kernels/gates/gates_arm64.s -arm64stubs ../kernels/gates/stubs_arm64.go

var avx2 = assembly{
	lanes: 8, masks: true,
	fetch: fetchAVX2, moments: momentsAVX2, sumColumns: sumColumnsAVX2, fold: foldAVX2,
	tanh: gateTanhAVX2, sigmoid: gateSigmoidAVX2, cellForward: cellForwardAVX2,
	outputForward: outputForwardAVX2, outputBackward: outputBackwardAVX2,
	gatesBackward: gatesBackwardAVX2, affinePairBackward: affinePairBackwardAVX2,
	affineBackward: affineBackwardAVX2, candidateForward: candidateForwardAVX2,
	updateForward: updateForwardAVX2, updateBackward: updateBackwardAVX2,
}

var avx512 = assembly{
	lanes: 16, masks: true,
	fetch: fetchAVX512, moments: momentsAVX512, sumColumns: sumColumnsAVX512, fold: foldAVX512,
	tanh: gateTanhAVX512, sigmoid: gateSigmoidAVX512, cellForward: cellForwardAVX512,
	outputForward: outputForwardAVX512, outputBackward: outputBackwardAVX512,
	gatesBackward: gatesBackwardAVX512, affinePairBackward: affinePairBackwardAVX512,
	affineBackward: affineBackwardAVX512, candidateForward: candidateForwardAVX512,
	updateForward: updateForwardAVX512, updateBackward: updateBackwardAVX512,
}

// forLevel returns the kernels of a level that this machine has.
func forLevel(level isa.Level) kernels {
	switch level {
	case isa.AVX512:
		return vector{&avx512}
	case isa.AVX2:
		return vector{&avx2}
	default:
		return portable{}
	}
}
