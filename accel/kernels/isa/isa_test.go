package isa

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	iceLake := append([]cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}, avx512...)
	for _, test := range []struct {
		name, architecture string
		has                []cpuid.FeatureID
		want               []Level
	}{
		{"nothing", "amd64", nil, []Level{Portable}},
		{"AVX2 without FMA", "amd64", []cpuid.FeatureID{cpuid.AVX2}, []Level{Portable}},
		{"Haswell", "amd64", []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}, []Level{Portable, AVX2}},
		{"Skylake-X has no VBMI and no VNNI", "amd64", iceLake[:6], []Level{Portable, AVX2}},
		{"an Ice Lake whose host hides GFNI", "amd64", iceLake[:len(iceLake)-1], []Level{Portable, AVX2}},
		{"Ice Lake", "amd64", iceLake, []Level{Portable, AVX2, AVX512}},
		{"Zen 4", "amd64", append(slices.Clone(iceLake), bf16...), []Level{Portable, AVX2, AVX512, AVX512BF16}},
		{"Cooper Lake has no VBMI", "amd64", append(slices.Clone(iceLake[:6]), bf16...), []Level{Portable, AVX2}},
		{"AVX-512 without AVX2", "amd64", avx512, []Level{Portable}},
		{"any arm64", "arm64", nil, []Level{Portable, NEON}},
		{"another", "riscv64", nil, []Level{Portable}},
	} {
		supports := func(wanted ...cpuid.FeatureID) bool {
			set := map[cpuid.FeatureID]bool{}
			for _, feature := range test.has {
				set[feature] = true
			}
			for _, feature := range wanted {
				if !set[feature] {
					return false
				}
			}
			return true
		}
		if got := detect(test.architecture, supports); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		forced    string
		available []Level
		want      Level
		says      string
	}{
		{"", []Level{Portable, AVX2, AVX512}, AVX512, ""},
		{"", []Level{Portable}, Portable, ""},
		{"portable", []Level{Portable, AVX2, AVX512}, Portable, ""},
		{"AVX2", []Level{Portable, AVX2, AVX512}, AVX2, ""},
		{"avx512", []Level{Portable, AVX2, AVX512}, AVX512, ""},
		{"avx512+bf16", []Level{Portable, AVX2, AVX512, AVX512BF16}, AVX512BF16, ""},
		{"avx512", []Level{Portable, AVX2, AVX512, AVX512BF16}, AVX512, ""},
		{"avx512+bf16", []Level{Portable, AVX2, AVX512}, AVX512, "does not have it; use portable, avx2, avx512, or unset it"},
		{"neon", []Level{Portable, NEON}, NEON, ""},
		{"avx512", []Level{Portable, AVX2}, AVX2, "does not have it; use portable, avx2, or unset it"},
		{"avx2", []Level{Portable}, Portable, "does not have it; use portable"},
		{"neon", []Level{Portable, AVX2}, AVX2, "does not have it; use portable, avx2"},
		{"avx2", []Level{Portable, NEON}, NEON, "does not have it; use portable, neon"},
		{"sse", []Level{Portable, AVX2}, AVX2, "no instruction set: use portable, avx2"},
	} {
		got, err := choose(test.forced, test.available, cpuid.AMD)
		if got != test.want {
			t.Errorf("%s=%q with %v: got %v, want %v", Variable, test.forced, test.available, got, test.want)
		}
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s=%q with %v: got error %v, want one that says %q", Variable, test.forced, test.available, err, test.says)
		}
	}
}

// TestIntelMultipliesInFloat32 holds that Intel's slow instruction is used only where it is named.
func TestIntelMultipliesInFloat32(t *testing.T) {
	t.Parallel()
	available := []Level{Portable, AVX2, AVX512, AVX512BF16}
	for forced, want := range map[string]Level{"": AVX512, "avx512+bf16": AVX512BF16, "avx2": AVX2, "sse": AVX512} {
		if got, _ := choose(forced, available, cpuid.Intel); got != want {
			t.Errorf("%s=%q on Intel: got %v, want %v", Variable, forced, got, want)
		}
	}
}

// TestFloat32Level holds that a level of bfloat16 computes with float32 as the level below it, whose
// name stands in the identity of experiments.
func TestFloat32Level(t *testing.T) {
	t.Parallel()
	for _, level := range []Level{Portable, NEON, AVX2, AVX512} {
		if got := level.float32(); got != level {
			t.Errorf("%v computes with float32 as %v, want as itself", level, got)
		}
	}
	if got := AVX512BF16.float32(); got != AVX512 {
		t.Errorf("%v computes with float32 as %v, want as %v", AVX512BF16, got, AVX512)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	levels := Available()
	if levels[0] != Portable || levels[len(levels)-1] != Detected() {
		t.Errorf("got levels %v, want from portable to %v", levels, Detected())
	}
	if !slices.Contains(levels, Current()) {
		t.Errorf("got level %v on a machine that has %v", Current(), levels)
	}
	if !strings.Contains(Features(), BFloat16().String()) {
		t.Errorf("got features %q, want the level %v in it", Features(), BFloat16())
	}
	if got := Level(7).String(); got != "isa.Level(7)" {
		t.Errorf("got %q for a level that is none", got)
	}
}

// TestNumbersTellProgramsApart multiplies and adds in plain Go, once as the compiler likes and once
// with a rounding in between: results of programs in which these differ must not have the same name.
func TestNumbersTellProgramsApart(t *testing.T) {
	t.Parallel()
	want := Current().String()
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		a, b := random.Float32(), random.Float32()
		c := -float32(a * b)
		if together, apart := a*b+c, float32(a*b)+c; together != apart && Current() != NEON {
			want = Current().String() + "-fused"
		}
	}
	if got := Numbers(); got != want {
		t.Errorf("results are known by %s, want %s", got, want)
	}
}
