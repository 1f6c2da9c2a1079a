//go:build !amd64 && !arm64

package matmul

import "bittern/accel/kernels/isa"

// forLevel returns the kernel of a level.
func forLevel(isa.Level) *kernel { return &portable }

// forBFloat16 returns the kernel of bfloat16 of a level.
func forBFloat16(isa.Level) *kernel { return &portableBFloat16 }
