package bench

import (
	"fmt"
	"slices"
	"strings"

	"bittern/accel/kernels/isa"
)

// Class is a class of processors, which have goals in common. "" is none.
type Class string

type classOfProcessors struct {
	name               Class
	about              string
	microarchitectures []string
	best               isa.Level
}

// classes are those of goals.csv, with the microarchitectures that they are of. The classes without
// one have every other processor with their instruction set.
var classes = []classOfProcessors{
	{"zen5", "AMD Zen 5", []string{"Zen 5"}, isa.AVX512},
	{"zen4", "AMD Zen 4", []string{"Zen 4"}, isa.AVX512},
	{"sapphire-rapids", "Intel Sapphire or Emerald Rapids", []string{"Sapphire Rapids", "Emerald Rapids"}, isa.AVX512},
	{"avx512", "another processor with AVX-512", nil, isa.AVX512},
	{"avx2", "a processor with AVX2 and no AVX-512", nil, isa.AVX2},
	{"arm64", "an arm64 processor", nil, isa.NEON},
}

// classify returns the class of a processor. Without one it returns the reason.
func classify(p isa.Processor) (Class, string) {
	if p.InUse != p.Best {
		return "", fmt.Sprintf("%s forces %s on a processor that has %s, for which there are no goals", isa.Variable, p.InUse, p.Best)
	}
	for _, c := range classes {
		if c.best.String() == p.Best && (c.microarchitectures == nil || slices.Contains(c.microarchitectures, p.Microarchitecture)) {
			return c.name, ""
		}
	}
	return "", "there are no goals for this kind of processor"
}

// FileName returns the name, without ending, of the file for the results of a processor: that
// of its class, or its own.
func FileName(p isa.Processor) string {
	if class, _ := classify(p); class != "" {
		return string(class)
	}
	words := strings.FieldsFunc(strings.ToLower(p.Name+" "+p.InUse), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}
