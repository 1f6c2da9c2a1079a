//go:build amd64 || arm64

package team

// pause tells the processor that this is a loop that polls, so that it leaves its units to the other
// thread of the core. It takes 40 to 140 cycles on Intel, few on others.
func pause()
