package datapath

import (
	"math"
	"math/rand/v2"
	"testing"

	"bittern/accel/kernels/fixed"
)

// apply is a sum times a factor, as the lanes keep it.
func apply(integer int64, factor float64) int64 {
	var y [1]int32
	fixed.ScaleSums(y[:], []float64{float64(integer)}, []float64{factor}, []int32{0}, lanes, conversion(accumulator, accumulator))
	return int64(y[0])
}

func TestActivationFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bound    float64
		fraction int
	}{{0, 11}, {0.3, 11}, {1, 11}, {1.001, 10}, {2, 10}, {3, 9}, {8, 8}, {9, 8}, {math.Inf(1), 8}} {
		if f := activation(c.bound, 3); f.bits != 12 || f.fraction != c.fraction {
			t.Errorf("activation(%v) = %+v, want 12 bits with %d of fraction", c.bound, f, c.fraction)
		}
	}
	f := format{12, 8}
	for value, want := range map[float64]int32{8: 2047, 1e30: 2047, -8: -2048, -1e30: -2048, 7.998: 2047, 1.5 / 256: 2, 2.5 / 256: 2, -1.5 / 256: -2} {
		if got := f.encode(value); got != want {
			t.Errorf("encode(%v) = %d, want %d", value, got, want)
		}
	}
}

// Over 15 powers of two below a table's largest factor, a product is off by at most
// the mantissa's half step, 2⁻¹² of it (2⁻¹¹ just below a power of two, where the
// mantissa saturates), and the accumulator's.
func TestScalesKeepTheirPrecision(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 3))
	for _, top := range []float64{1e-6, 0.02, 1, 31.6, 900} {
		const size, fraction = 1000, 11
		factors := make([]float64, size)
		for i := range factors {
			factors[i] = top * math.Exp2(-14*rng.Float64()) * float64(1-2*(i%2))
		}
		factors[0], factors[1] = top, 0
		s := newScales(factors, size, fraction, accumulator)
		row := s.row(5)
		for i, factor := range factors {
			integer := int64(rng.IntN(1<<20)) - 1<<19
			want := math.Ldexp(float64(integer), -fraction) * factor
			if math.Abs(want) > 2047 {
				want = math.Copysign(2048, want)
			}
			got := math.Ldexp(float64(apply(integer, row[i])), -accumulator.fraction)
			if bound := math.Abs(want)*0x1p-11 + 0x1p-13; math.Abs(got-want) > bound {
				t.Errorf("%d/2^%d × %v = %v, want %v within %v", integer, fraction, factor, got, want, bound)
			}
		}
		if want := size * scaleBits; s.bits != want || s.rowBits != want {
			t.Errorf("the table takes %d bits, %d a row; want %d", s.bits, s.rowBits, want)
		}
	}
}

func TestExtremeScales(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		factor   float64
		fraction int
		integer  int64
		want     int64
	}{
		{1e30, 0, 1, 1<<23 - 1},
		{-1e30, 0, 1, -1 << 23},
		{1e30, 11, 0, 0},
		{1e-30, 22, 1 << 40, 0},
		{1, 12, -77, -77},
		{1, 0, 2047, 2047 << 12},
		{4096, 12, 3, 3 << 12},
	} {
		s := newScales([]float64{c.factor}, 1, c.fraction, accumulator)
		if got := apply(c.integer, s.row(0)[0]); got != c.want {
			t.Errorf("%d/2^%d × %v = %d/4096, want %d/4096", c.integer, c.fraction, c.factor, got, c.want)
		}
	}
}

// A mantissa that rounds to 2048 saturates, and one of −2048 stays: neither moves the
// exponent. Factors far below the largest lose bits.
func TestMantissas(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		factor   float64
		top      int
		mantissa int16
		exponent int // factor ≈ mantissa · 2^(exponent−11)
	}{
		{1 - 0x1p-13, 0, 2047, 0},
		{-1 + 0x1p-13, 0, -2048, 0},
		{1, 1, 1024, 1},
		{0x1.002p-1, 0, 1024, 0}, // 1024.5 to even
		{0x1p-16, 0, 1024, -15},  // ½·2⁻¹⁵ is within 15 of the largest
		{0x1p-17, 0, 512, -15},
		{0x1p-25, 0, 2, -15},
	} {
		mantissa, shift := newScale(c.factor, c.top)
		if want := c.top - c.exponent; mantissa != c.mantissa || int(shift) != want {
			t.Errorf("scale %v below 2^%d is %d shifted by %d, want %d by %d", c.factor, c.top, mantissa, shift, c.mantissa, want)
		}
	}
}

func TestEqualScalesAreStoredOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		factors []float64
		size    int
		want    int
	}{
		{[]float64{1, 1, 1}, 3, 0},
		{[]float64{0.5, 0.5, 0.5}, 3, scaleBits},
		{[]float64{0.5, 0.25, 0.5}, 3, 3 * scaleBits},
		{[]float64{0.5, 0.5}, 1, 2 * scaleBits}, // a row for each of two time steps
	} {
		if got := newScales(c.factors, c.size, 8, accumulator).bits; got != c.want {
			t.Errorf("factors %v in rows of %d take %d bits, want %d", c.factors, c.size, got, c.want)
		}
	}
}

func TestFunctionTablesAreCorrectlyRounded(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(float64) float64{"sigmoid": sigmoid, "tanh": math.Tanh} {
		for _, fraction := range []int{3, 8, 11} {
			table := newFunctionTable(f, format{12, fraction}, format{12, 11})
			for i, got := range table {
				x := math.Ldexp(float64(i-2048), -fraction)
				want := math.Min(f(x), 2047.0/2048)
				if off := math.Abs(float64(got)/2048 - want); off > 1.0/4096 {
					t.Fatalf("%s(%v) = %d/2048, off by %v: more than half a step", name, x, got, off)
				}
			}
		}
	}
}
