// Package isa says which instruction set the CPU kernels use.
//
// Every kernel package has the same kernels at each [Level] and picks its table
// by [Current]. The environment variable BITTERN_ISA (portable, avx2 or avx512)
// forces a level, so that one machine can test and measure all of them.
package isa

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// Variable is the environment variable that forces a level.
const Variable = "BITTERN_ISA"

// Level is an instruction set, ordered: a machine that has one has all below it.
type Level int

const (
	// Portable is plain Go.
	Portable Level = iota
	// AVX2 is AVX2 and FMA: Intel Haswell, AMD Zen, and later.
	AVX2
	// AVX512 is AVX-512 F, BW, DQ, VL, VBMI and VNNI: Intel Ice Lake, AMD Zen 4, and later.
	AVX512
)

var names = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

// String is the level's name as BITTERN_ISA spells it.
func (l Level) String() string {
	if l < 0 || int(l) >= len(names) {
		return fmt.Sprintf("isa.Level(%d)", int(l))
	}
	return names[l]
}

// Detected is the best level this machine has.
func Detected() Level { return detect(cpuid.CPU.Supports) }

// Available lists the levels this machine has, from Portable up.
func Available() []Level {
	levels := []Level{Portable, AVX2, AVX512}
	return levels[:Detected()+1]
}

// Current is the level the kernels use. It is decided at first use and does not
// change after: the one BITTERN_ISA names, or the best where it names none that
// this machine has (see [Check]).
func Current() Level {
	level, _ := decide()
	return level
}

// Check returns an error, fit to be shown to the user, when BITTERN_ISA names no
// level or one that this machine lacks. Kernels then use the best level.
func Check() error {
	_, err := decide()
	return err
}

// Features describes machine and level in a line, for the provenance of a measured number:
// "AMD EPYC; avx512 (AVX2 FMA3 AVX512F AVX512BW …)".
func Features() string {
	var has []string
	for _, feature := range slices.Concat(avx2, avx512) {
		if cpuid.CPU.Supports(feature) {
			has = append(has, feature.String())
		}
	}
	brand := strings.Join(strings.Fields(cpuid.CPU.BrandName), " ")
	if brand == "" {
		brand = "unknown CPU"
	}
	return fmt.Sprintf("%s; %s (%s)", brand, Current(), strings.Join(has, " "))
}

var (
	avx2   = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}
	avx512 = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VBMI, cpuid.AVX512VNNI}
)

var decide = sync.OnceValues(func() (Level, error) {
	return choose(os.Getenv(Variable), Detected())
})

// detect returns the best level whose features, and those of all levels below,
// are supported. cpuid reports an AVX feature only where the operating system
// saves the registers.
func detect(supports func(...cpuid.FeatureID) bool) Level {
	switch {
	case supports(avx2...) && supports(avx512...):
		return AVX512
	case supports(avx2...):
		return AVX2
	}
	return Portable
}

// choose returns the level that forced names, or best together with the reason
// why not.
func choose(forced string, best Level) (Level, error) {
	if forced == "" {
		return best, nil
	}
	level := Level(slices.Index(names[:], strings.ToLower(forced)))
	if level < 0 {
		return best, fmt.Errorf("%s=%s is no instruction set: use %s, or unset it", Variable, forced, strings.Join(names[:], ", "))
	}
	if level > best {
		return best, fmt.Errorf("%s=%s: this machine has no more than %s; use that or less, or unset it", Variable, forced, best)
	}
	return level, nil
}
