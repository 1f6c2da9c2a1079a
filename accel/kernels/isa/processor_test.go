package isa

import "testing"

func TestMicroarchitecture(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		vendor        string
		family, model int
		want          string
	}{
		{"GenuineIntel", 6, 207, "Emerald Rapids"},
		{"GenuineIntel", 6, 143, "Sapphire Rapids"},
		{"GenuineIntel", 6, 85, "Skylake"},
		{"GenuineIntel", 6, 0x60, ""},
		{"GenuineIntel", 0x19, 0x11, ""},
		{"AuthenticAMD", 0x19, 0x01, "Zen 3"},
		{"AuthenticAMD", 0x19, 0x11, "Zen 4"},
		{"AuthenticAMD", 0x19, 0x61, "Zen 4"},
		{"AuthenticAMD", 0x19, 0x50, "Zen 3"},
		{"AuthenticAMD", 0x1a, 0x02, "Zen 5"},
		{"AuthenticAMD", 0x1a, 0x44, "Zen 5"},
		{"AuthenticAMD", 0x1a, 0x50, ""},
		{"", 0, 0, ""},
	} {
		if got := microarchitecture(test.vendor, test.family, test.model); got != test.want {
			t.Errorf("%s family %#x model %#x: got %q, want %q", test.vendor, test.family, test.model, got, test.want)
		}
	}
}

// TestMicroarchitecturesAreApart checks that no processor has two names.
func TestMicroarchitecturesAreApart(t *testing.T) {
	t.Parallel()
	type key struct {
		vendor        string
		family, model int
	}
	names := map[key]string{}
	for _, m := range microarchitectures {
		for _, r := range m.models {
			for model := r.from; model <= r.to; model++ {
				k := key{m.vendor, m.family, model}
				if before, ok := names[k]; ok {
					t.Errorf("%+v is %s and %s", k, before, m.name)
				}
				names[k] = m.name
			}
		}
	}
}

func TestThisProcessor(t *testing.T) {
	t.Parallel()
	p := ThisProcessor()
	if p.Name == "" || p.Best != Detected().String() || p.InUse != Current().String() || p.Arch == "" {
		t.Errorf("got %+v, want a name, %v and %v", p, Detected(), Current())
	}
}
