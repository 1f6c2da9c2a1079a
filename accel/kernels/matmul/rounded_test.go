package matmul

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRoundedEqualsMultiplyPacked holds that products with a matrix which was rounded before, part by
// part, have the bits of those which round it themselves.
func TestRoundedEqualsMultiplyPacked(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 14))
	for _, one := range variants() {
		if one.kernel.pairing == nil {
			continue
		}
		for _, s := range []shape{{m: 1, n: 1, k: 1}, {m: 13, n: 49, k: 37}, {m: 9, n: 64, k: 66}, {m: 3, n: 17, k: depthBFloat16 + 35, accumulate: true}} {
			for _, scaled := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, %v, scaled %v", one, s, scaled), func(t *testing.T) {
					p := newProblem(s, func(v float32) float32 { return v })
					var scale []float32
					if scaled {
						scale = make([]float32, s.k)
						RowScales(scale, p.b.data, p.b.ld, s.k, s.n)
					}
					var packed Packed
					if err := packed.pack(one.kernel, p.b.data, p.b.ld, false, s.k, s.n, scale); err != nil {
						t.Fatal(err)
					}
					want := append([]float32{}, p.c.data...)
					if err := new(Scratch).MultiplyPacked(want, p.c.ld, p.a.data, p.a.ld, false, s.m, &packed, s.accumulate); err != nil {
						t.Fatal(err)
					}
					a := newRounded(one.kernel, s.m+1, s.k) // a row more than is multiplied
					middle := random.IntN(s.k/2+1) * 2
					var scratch Scratch
					for _, part := range [][2]int{{middle, s.k}, {0, middle}} {
						if err := scratch.Round(a, part[0], part[1], p.a.data, p.a.ld, s.m, scale); err != nil {
							t.Fatal(err)
						}
					}
					if err := scratch.MultiplyRounded(p.c.data, p.c.ld, a, s.m, &packed, s.accumulate); err != nil {
						t.Fatal(err)
					}
					for i, got := range p.c.data {
						if !identical(got, want[i]) {
							t.Fatalf("C[%d][%d]: got %x, want %x", i/p.c.ld, i%p.c.ld, got, want[i])
						}
					}
				})
			}
		}
	}
}

func TestRoundRefuses(t *testing.T) {
	t.Parallel()
	a := newRounded(&portableBFloat16, 2, 6)
	x := make([]float32, 12)
	for name, err := range map[string]error{
		"a part that begins within a pair": new(Scratch).Round(a, 1, 6, x, 6, 2, nil),
		"a part that ends within a pair":   new(Scratch).Round(a, 0, 3, x, 6, 2, nil),
		"more columns than there are":      new(Scratch).Round(a, 0, 8, x, 8, 1, nil),
		"more rows than there are":         new(Scratch).Round(a, 0, 6, x, 4, 3, nil),
		"numbers that are too few":         new(Scratch).Round(a, 0, 6, x[:11], 6, 2, nil),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var exact, deep Packed
	for p, k := range map[*Packed]*kernel{&exact: &portable, &deep: &portableBFloat16} {
		if err := p.pack(k, make([]float32, 24), 3, false, 8, 3, nil); err != nil {
			t.Fatal(err)
		}
	}
	c := make([]float32, 6)
	if err := new(Scratch).MultiplyRounded(c, 3, a, 2, &exact, false); err == nil {
		t.Error("a matrix packed for float32: no error")
	}
	if err := new(Scratch).MultiplyRounded(c, 3, a, 2, &deep, false); err == nil {
		t.Error("a matrix that is too deep: no error")
	}
}
