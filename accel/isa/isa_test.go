package isa

import (
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	iceLake := append([]cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}, avx512...)
	for _, test := range []struct {
		name string
		has  []cpuid.FeatureID
		want Level
	}{
		{"nothing", nil, Portable},
		{"AVX2 without FMA", []cpuid.FeatureID{cpuid.AVX2}, Portable},
		{"Haswell", []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}, AVX2},
		{"Skylake-X has no VBMI and no VNNI", iceLake[:6], AVX2},
		{"Ice Lake", iceLake, AVX512},
		{"AVX-512 without AVX2", avx512, Portable},
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
		if got := detect(supports); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		forced string
		best   Level
		want   Level
		says   string
	}{
		{"", AVX512, AVX512, ""},
		{"", Portable, Portable, ""},
		{"portable", AVX512, Portable, ""},
		{"AVX2", AVX512, AVX2, ""},
		{"avx512", AVX512, AVX512, ""},
		{"avx512", AVX2, AVX2, "no more than avx2"},
		{"avx2", Portable, Portable, "no more than portable"},
		{"neon", AVX2, AVX2, "use portable, avx2, avx512"},
	} {
		got, err := choose(test.forced, test.best)
		if got != test.want {
			t.Errorf("%s=%q on %v: got %v, want %v", Variable, test.forced, test.best, got, test.want)
		}
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s=%q on %v: got error %v, want one that says %q", Variable, test.forced, test.best, err, test.says)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	if Check() == nil && Current() > Detected() {
		t.Errorf("got level %v on a machine that has %v", Current(), Detected())
	}
	levels := Available()
	if levels[0] != Portable || levels[len(levels)-1] != Detected() {
		t.Errorf("got levels %v, want from portable to %v", levels, Detected())
	}
	if !strings.Contains(Features(), Current().String()) {
		t.Errorf("got features %q, want the level %v in it", Features(), Current())
	}
	if got := Level(7).String(); got != "isa.Level(7)" {
		t.Errorf("got %q for a level that is none", got)
	}
}
