//go:build !amd64 && !arm64

package gates

import "bittern/accel/kernels/isa"

// forLevel returns the kernels of a level: portable Go is all there is here.
func forLevel(isa.Level) kernels { return portable{} }
