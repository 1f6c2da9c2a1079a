package isa

import (
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Processor is the processor that this program runs on, as CPUID describes it.
type Processor struct {
	Name     string `json:"name"`   // the brand; "unknown CPU" if it has none
	Vendor   string `json:"vendor"` // such as GenuineIntel
	Family   int    `json:"family"`
	Model    int    `json:"model"`
	Stepping int    `json:"stepping"`
	// Microarchitecture is such as "Zen 5"; "" if the table of this package has none.
	Microarchitecture string `json:"microarchitecture,omitempty"`
	Virtual           bool   `json:"virtual"` // the processor is a virtual machine's
	Arch              string `json:"arch"`    // as in GOARCH
	Best              string `json:"best"`    // the best instruction set that it has
	InUse             string `json:"in_use"`  // the instruction set that the kernels use
}

// ThisProcessor describes the processor.
func ThisProcessor() Processor {
	c := cpuid.CPU
	p := Processor{
		Name: brand(), Vendor: c.VendorString, Family: c.Family, Model: c.Model, Stepping: c.Stepping,
		Virtual: c.VM(), Arch: runtime.GOARCH, Best: Detected().String(), InUse: Current().String(),
	}
	p.Microarchitecture = microarchitecture(p.Vendor, p.Family, p.Model)
	return p
}

func brand() string {
	name := strings.Join(strings.Fields(cpuid.CPU.BrandName), " ")
	if name == "" {
		return "unknown CPU"
	}
	return name
}

// models are a range of models of one processor family.
type models struct{ from, to int }

// microarchitectures are those of the servers and desktops that have AVX2 at least. AMD's ranges
// are those of Linux (arch/x86/kernel/cpu/amd.c), Intel's numbers those of its
// arch/x86/include/asm/intel-family.h.
var microarchitectures = []struct {
	vendor string
	family int
	models []models
	name   string
}{
	{"AuthenticAMD", 0x17, []models{{0x00, 0x2f}}, "Zen"},
	{"AuthenticAMD", 0x17, []models{{0x30, 0xff}}, "Zen 2"},
	{"AuthenticAMD", 0x19, []models{{0x00, 0x0f}, {0x20, 0x5f}}, "Zen 3"},
	{"AuthenticAMD", 0x19, []models{{0x10, 0x1f}, {0x60, 0xaf}}, "Zen 4"},
	{"AuthenticAMD", 0x1a, []models{{0x00, 0x2f}, {0x40, 0x4f}, {0x60, 0x7f}}, "Zen 5"},
	{"GenuineIntel", 6, []models{{0x3c, 0x3c}, {0x3f, 0x3f}, {0x45, 0x46}}, "Haswell"},
	{"GenuineIntel", 6, []models{{0x3d, 0x3d}, {0x47, 0x47}, {0x4f, 0x4f}, {0x56, 0x56}}, "Broadwell"},
	{"GenuineIntel", 6, []models{{0x4e, 0x4e}, {0x55, 0x55}, {0x5e, 0x5e}, {0x8e, 0x8e}, {0x9e, 0x9e}}, "Skylake"},
	{"GenuineIntel", 6, []models{{0x6a, 0x6a}, {0x6c, 0x6c}, {0x7d, 0x7e}}, "Ice Lake"},
	{"GenuineIntel", 6, []models{{0x8c, 0x8d}}, "Tiger Lake"},
	{"GenuineIntel", 6, []models{{0x8f, 0x8f}}, "Sapphire Rapids"},
	{"GenuineIntel", 6, []models{{0x97, 0x97}, {0x9a, 0x9a}}, "Alder Lake"},
	{"GenuineIntel", 6, []models{{0xa7, 0xa7}}, "Rocket Lake"},
	{"GenuineIntel", 6, []models{{0xad, 0xae}}, "Granite Rapids"},
	{"GenuineIntel", 6, []models{{0xb7, 0xb7}, {0xba, 0xba}, {0xbf, 0xbf}}, "Raptor Lake"},
	{"GenuineIntel", 6, []models{{0xcf, 0xcf}}, "Emerald Rapids"},
}

func microarchitecture(vendor string, family, model int) string {
	for _, m := range microarchitectures {
		if m.vendor == vendor && m.family == family && slices.ContainsFunc(m.models, func(r models) bool { return r.from <= model && model <= r.to }) {
			return m.name
		}
	}
	return ""
}
