//go:build !amd64 && !arm64

package matmul

import "bittern/accel/kernels/isa"

// forLevel returns the kernel of a level.
func forLevel(isa.Level) *kernel { return &portable }

// integersForLevel returns the kernel of a level for whole numbers.
func integersForLevel(isa.Level) *integerKernel { return &portableIntegers }

// forBFloat16 returns the kernel of bfloat16 of a level.
func forBFloat16(isa.Level) *kernel { return &portableBFloat16 }
