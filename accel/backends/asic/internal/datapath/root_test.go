package datapath

import (
	"math"
	"math/rand/v2"
	"testing"
)

// By hand: of 1 the table has 4096/√(1 + 1/128) = 4080, 3 − 4080²/2²⁴ is 33685248/2²⁴, and half
// of their product 65534.5/2¹⁶. 9 is 2.25·4.
func TestRootByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		A, g uint64
		p    int
	}{{1, 65535, 0}, {2, 46341, 0}, {4, 65535, 1}, {9, 43690, 1}, {1 << 62, 65535, 31}, {1<<63 - 1, 46341, 31}} {
		if g, p := root(c.A); g != c.g || p != c.p {
			t.Errorf("the root of %d is %d/2^16 · 2^-%d, want %d and %d", c.A, g, p, c.g, c.p)
		}
	}
}

// Every a of 22 fraction bits from 1 to 4 has a root within two units of 2⁻¹⁶, and no rounding of
// what enters adds more than a fourth of one.
func TestRootsAreWithinTwoUnits(t *testing.T) {
	t.Parallel()
	worst := 0.0
	for a := uint64(1) << operandFraction; a < 4<<operandFraction; a++ {
		g, p := root(a)
		worst = max(worst, math.Abs(float64(g)-(1<<rootFraction)/math.Sqrt(math.Ldexp(float64(a), -operandFraction))))
		if p != operandFraction/2 {
			t.Fatalf("the root of %d has the exponent −%d", a, p)
		}
	}
	if worst > 2 || worst < 1 {
		t.Errorf("roots are off by up to %v units, want 1 to 2", worst)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		A := rng.Uint64()>>(1+rng.IntN(62)) | 1
		g, p := root(A)
		if off := math.Abs(float64(g) - math.Ldexp(1/math.Sqrt(float64(A)), rootFraction+p)); off > 2.25 {
			t.Fatalf("the root of %d is off by %v units", A, off)
		}
	}
}

// A reciprocal errs by half a unit of its mantissa, 2⁻¹¹ of itself, and by what the root errs.
func TestReciprocals(t *testing.T) {
	t.Parallel()
	for A, want := range map[uint64]float64{1: 0x1.FFCp-1, 3: 1365.0 / 4096, 5: 1638.0 / 8192, 1 << 40: 0x1.FFCp-41} {
		if got := reciprocal(A).value(); got != want {
			t.Errorf("the reciprocal of %d is %v, want %v", A, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(3, 2))
	worst := 0.0
	for i := range uint64(400_000) {
		A := i + 1
		if i >= 200_000 {
			A = rng.Uint64()>>(1+rng.IntN(62)) | 1
		}
		worst = max(worst, math.Abs(reciprocal(A).value()*float64(A)-1))
	}
	if worst > 1.15*0x1p-11 || worst < 0x1p-12 {
		t.Errorf("reciprocals are off by up to %v·2⁻¹¹ of themselves, want at most 1.15", worst*0x1p11)
	}
}

func TestRoundingToEven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x     uint64
		shift int
		want  uint64
	}{{5, 0, 5}, {5, 1, 2}, {7, 1, 4}, {6, 2, 2}, {10, 2, 2}, {11, 2, 3}, {1 << 62, 63, 0}, {3 << 61, 63, 1}, {1<<64 - 1, 64, 0}, {9, 100, 0}} {
		if got := shifted(c.x, c.shift); got != c.want {
			t.Errorf("%d/2^%d is %d, want %d", c.x, c.shift, got, c.want)
		}
	}
	if signed(-5, 1) != -2 || signed(-7, 1) != -4 || signed(-3, 3) != 0 {
		t.Errorf("−5/2, −7/2 and −3/8 are %d, %d and %d", signed(-5, 1), signed(-7, 1), signed(-3, 3))
	}
}

func TestFactors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x        uint64
		exponent int
		want     factor
	}{
		{0, 5, factor{}},
		{1, 0, factor{1024, 1}},
		{2047, -11, factor{2047, 0}},
		{4095, -12, factor{2047, 0}}, // 2047.5 would be 2048
		{2049, -12, factor{1024, 0}}, // 1024.5 to even
		{2051, -12, factor{1026, 0}},
	} {
		if got := newFactor(c.x, c.exponent); got != c.want {
			t.Errorf("%d·2^%d is the factor %+v, want %+v", c.x, c.exponent, got, c.want)
		}
	}
	for _, c := range []struct{ from, want factor }{
		{factor{1024, 1}, factor{2047, 0}},
		{factor{1025, -15}, factor{1025, -15}},
		{factor{1025, -17}, factor{256, -15}},
		{factor{2047, -60}, factor{0, -15}},
	} {
		if got := c.from.stored(); got != c.want {
			t.Errorf("%+v is stored as %+v, want %+v", c.from, got, c.want)
		}
	}
}
