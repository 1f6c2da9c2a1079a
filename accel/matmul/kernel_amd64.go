package matmul

import "bittern/accel/isa"

// forLevel returns the kernel of a level.
func forLevel(level isa.Level) *kernel { return &portable }
