// Package isa says which instruction set the CPU kernels use.
//
// Every kernel package has the same kernels at each [Level] and picks its table
// by [Current], or for products of bfloat16 by [BFloat16]. The environment variable
// BITTERN_ISA (portable, neon, avx2, avx512 or avx512+bf16) forces a level, so that one machine
// can test and measure all of them.
package isa

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// Variable is the environment variable that forces a level.
const Variable = "BITTERN_ISA"

// Level is an instruction set. The levels of one architecture are ordered: a machine that
// supports one supports all below it.
type Level int

const (
	// Portable is plain Go.
	Portable Level = iota
	// NEON is the vector instructions that every arm64 has. A kernel without a NEON
	// version uses the portable one.
	NEON
	// AVX2 is AVX2 and FMA: Intel Haswell, AMD Zen, and later.
	AVX2
	// AVX512 is AVX-512 F, BW, DQ, VL, VBMI and VNNI with GFNI: Intel Ice Lake, AMD Zen 4, and later.
	AVX512
	// AVX512BF16 is AVX512 with the products of AVX512_BF16: Intel Sapphire Rapids, AMD Zen 4,
	// and later. No kernel but these products differs from those of AVX512.
	AVX512BF16
)

var names = [...]string{Portable: "portable", NEON: "neon", AVX2: "avx2", AVX512: "avx512", AVX512BF16: "avx512+bf16"}

// String is the level's name as BITTERN_ISA spells it.
func (l Level) String() string {
	if l < 0 || int(l) >= len(names) {
		return fmt.Sprintf("isa.Level(%d)", int(l))
	}
	return names[l]
}

// float32 is the level with the same kernels of float32, the best of those below included.
func (l Level) float32() Level { return min(l, AVX512) }

// Detected is the best level of float32 that this machine has.
func Detected() Level {
	levels := Available()
	return levels[len(levels)-1]
}

// Available lists the levels this machine has that differ in their kernels of float32, from
// Portable up.
func Available() []Level {
	return slices.DeleteFunc(AvailableBFloat16(), func(l Level) bool { return l != l.float32() })
}

// AvailableBFloat16 lists all levels this machine has, from Portable up.
func AvailableBFloat16() []Level { return detect(runtime.GOARCH, cpuid.CPU.Supports) }

// Current returns the level of float32 that the kernels use: the one that BITTERN_ISA names, or
// the best one if it names none that this machine has (see [Check]). It is decided at first use
// and does not change afterwards.
func Current() Level { return BFloat16().float32() }

// Numbers names what the last bits of results depend on. It is the current level, followed by "-fused"
// if the compiler rounds a product and a sum only once where they stand together in plain Go. For amd64
// it does so from GOAMD64=v3 on. For arm64 it always does, so that NEON has no such ending.
func Numbers() string {
	level := Current()
	if level != NEON && multiplyAdd(1+0x1p-12, 1+0x1p-12, -1-0x1p-11) != 0 { // 2⁻²⁴ if it is rounded once
		return level.String() + "-fused"
	}
	return level.String()
}

//go:noinline
func multiplyAdd(a, b, c float32) float32 { return a*b + c }

// BFloat16 returns the level that products of bfloat16 use. It is [Current], or AVX512BF16 where
// that is the faster one or BITTERN_ISA names it.
func BFloat16() Level {
	level, _ := decide()
	return level
}

// SlowTwoTablePermutes says that the processor takes three times as many steps for a permutation
// that reads two vectors (VPERMI2B) as for one that reads one, as those of Intel do up to Emerald
// Rapids (uops.info).
func SlowTwoTablePermutes() bool { return cpuid.CPU.VendorID == cpuid.Intel }

// Check returns an error, fit to be shown to the user, when BITTERN_ISA names no
// level or one that this machine lacks. Kernels then use the best level.
func Check() error {
	_, err := decide()
	return err
}

// UnknownCPU stands in [Features] for a processor that does not tell its name.
const UnknownCPU = "unknown CPU"

// Features describes machine and level in a line, for the provenance of a measured number:
// "AMD EPYC; avx512+bf16 (AVX2 FMA3 AVX512F AVX512BW …)".
func Features() string {
	var has []string
	for _, feature := range slices.Concat(avx2, avx512, bf16) {
		if cpuid.CPU.Supports(feature) {
			has = append(has, feature.String())
		}
	}
	if len(has) == 0 {
		return fmt.Sprintf("%s; %s", brand(), BFloat16())
	}
	return fmt.Sprintf("%s; %s (%s)", brand(), BFloat16(), strings.Join(has, " "))
}

var (
	avx2   = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}
	avx512 = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VBMI, cpuid.AVX512VNNI, cpuid.GFNI}
	bf16   = []cpuid.FeatureID{cpuid.AVX512BF16}
)

var decide = sync.OnceValues(func() (Level, error) {
	return choose(os.Getenv(Variable), AvailableBFloat16(), cpuid.CPU.VendorID)
})

// detect lists the levels of an architecture whose features, and those of all
// levels below, are supported. cpuid reports an AVX feature only where the
// operating system saves the registers.
func detect(architecture string, supports func(...cpuid.FeatureID) bool) []Level {
	levels := []Level{Portable}
	switch {
	case architecture == "arm64":
		levels = append(levels, NEON)
	case architecture != "amd64" || !supports(avx2...):
	case supports(avx512...):
		levels = append(levels, AVX2, AVX512)
		if supports(bf16...) {
			levels = append(levels, AVX512BF16)
		}
	default:
		levels = append(levels, AVX2)
	}
	return levels
}

// choose returns the level that forced names, or the best of those available
// together with the reason why not.
//
// On Intel's processors it is AVX512BF16 only if it is named. Those retire a VDPBF16PS, which is two
// multiply-adds, in the time of four multiply-adds of float32 (5.2 against 1.26·10⁹ a second on a
// Xeon of family 6, model 207), so AVX512 computes the same twice as fast.
func choose(forced string, available []Level, vendor cpuid.Vendor) (Level, error) {
	best := available[len(available)-1]
	if vendor == cpuid.Intel {
		best = best.float32()
	}
	if forced == "" {
		return best, nil
	}
	level := Level(slices.Index(names[:], strings.ToLower(forced)))
	if slices.Contains(available, level) {
		return level, nil
	}
	var have []string
	for _, l := range available {
		have = append(have, l.String())
	}
	if level < 0 {
		return best, fmt.Errorf("%s=%s is no instruction set: use %s, or unset it", Variable, forced, strings.Join(have, ", "))
	}
	return best, fmt.Errorf("%s=%s: this machine does not have it; use %s, or unset it", Variable, forced, strings.Join(have, ", "))
}
