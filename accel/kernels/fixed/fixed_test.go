package fixed

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
)

var lengths = []int{0, 1, 7, 8, 15, 16, 17, 33, 100}

// everyLevel runs test for the kernels of each level that this machine has, and each length.
func everyLevel(t *testing.T, test func(t *testing.T, k *kernels, n int, rng *rand.Rand)) {
	t.Helper()
	for _, level := range isa.Available() {
		for _, n := range lengths {
			t.Run(fmt.Sprintf("%s/%d", level, n), func(t *testing.T) {
				t.Parallel()
				test(t, forLevel(level), n, rand.New(rand.NewPCG(8, uint64(n))))
			})
		}
	}
}

// numbers are whole, of at most so many bits, among them the extreme ones.
func numbers[T int32 | float32 | float64](t *testing.T, rng *rand.Rand, n, bits int) []T {
	out := guard.Slice[T](t, n)
	for i := range out {
		limit := int64(1) << (bits - 1)
		v := rng.Int64N(2*limit) - limit
		switch rng.IntN(8) {
		case 0:
			v = -limit
		case 1:
			v = limit - 1
		case 2:
			v >>= bits / 2
		}
		out[i] = T(v)
	}
	return out
}

// quotient is x / 2^shift to the nearest whole number, to even of two, within limits.
func quotient(x *big.Int, shift, bits int) int64 {
	r := new(big.Rat).SetInt(x)
	power := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(max(shift, -shift))))
	if shift > 0 {
		power.Inv(power)
	}
	r.Mul(r, power)
	limit := big.NewInt(1 << (bits - 1))
	floor := new(big.Int).Div(r.Num(), r.Denom())
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	if c := rest.Cmp(big.NewRat(1, 2)); c > 0 || c == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	if floor.Cmp(limit) >= 0 {
		return limit.Int64() - 1
	}
	if floor.Cmp(new(big.Int).Neg(limit)) < 0 {
		return -limit.Int64()
	}
	return floor.Int64()
}

func TestConvert(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels, n int, rng *rand.Rand) {
		for _, shift := range []int{-5, 0, 1, 2, 9, 19, 30} {
			x, y := numbers[int32](t, rng, n, 25), guard.Slice[int32](t, n)
			k.Convert(y, x, NewConversion(shift, 12))
			for i := range y {
				if want := quotient(big.NewInt(int64(x[i])), shift, 12); int64(y[i]) != want {
					t.Errorf("%d / 2^%d = %d, want %d", x[i], shift, y[i], want)
				}
			}
		}
	})
}

func TestAddAndMultiply(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels, n int, rng *rand.Rand) {
		for _, shift := range []int{-5, 0, 1, 13} {
			x, y, z := numbers[int32](t, rng, n, 12), numbers[int32](t, rng, n, 12), guard.Slice[int32](t, n)
			c := NewConversion(shift, 12)
			k.Multiply(z, x, y, c)
			for i := range z {
				if want := quotient(big.NewInt(int64(x[i])*int64(y[i])), shift, 12); int64(z[i]) != want {
					t.Errorf("%d·%d / 2^%d = %d, want %d", x[i], y[i], shift, z[i], want)
				}
			}
			k.Add(z, x, y, [2]int32{3, 12}, c)
			for i := range z {
				if want := quotient(big.NewInt(int64(x[i])<<3+int64(y[i])<<12), shift, 12); int64(z[i]) != want {
					t.Errorf("(%d·2³ + %d·2¹²) / 2^%d = %d, want %d", x[i], y[i], shift, z[i], want)
				}
			}
		}
	})
}

// TestScale multiplies sums of up to 41 bits by factors of 12 bits with any exponent.
func TestScale(t *testing.T) {
	t.Parallel()
	const bits, shift = 24, 4
	everyLevel(t, func(t *testing.T, k *kernels, n int, rng *rand.Rand) {
		x, integers := numbers[float64](t, rng, n, 41), numbers[int32](t, rng, n, 24)
		factor, offset := guard.Slice[float64](t, n), numbers[int32](t, rng, n, bits)
		exponents := make([]int, n)
		for i := range factor {
			exponents[i] = rng.IntN(45) - 1
			factor[i] = math.Ldexp(float64(rng.IntN(4096)-2048), -exponents[i])
		}
		check := func(x []float64, y []int32) {
			t.Helper()
			for i := range y {
				mantissa := math.Ldexp(factor[i], exponents[i])
				product := new(big.Int).Mul(big.NewInt(int64(x[i])), big.NewInt(int64(mantissa)))
				sum := quotient(big.NewInt(quotient(product, exponents[i], bits)+int64(offset[i])), 0, bits)
				if want := quotient(big.NewInt(sum), shift, 12); int64(y[i]) != want {
					t.Errorf("%v·%v/2^%d + %d is %d, want %d", x[i], mantissa, exponents[i], offset[i], y[i], want)
				}
			}
		}
		a, c, y := NewAccumulator(bits), NewConversion(shift, 12), guard.Slice[int32](t, n)
		k.ScaleSums(y, x, factor, offset, a, c)
		check(x, y)
		k.ScaleIntegers(y, integers, factor, offset, a, c)
		doubles := make([]float64, n)
		for i, v := range integers {
			doubles[i] = float64(v)
		}
		check(doubles, y)
	})
}

func TestSums(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels, n int, rng *rand.Rand) {
		x, y := numbers[int32](t, rng, n, 32), numbers[int32](t, rng, n, 32)
		sum, want := guard.Slice[float64](t, n), make([]float64, n)
		k.Widen(sum, x)
		k.Accumulate(sum, y)
		for i := range want {
			want[i] = float64(int64(x[i]) + int64(y[i]))
		}
		if !slices.Equal(sum, want) {
			t.Errorf("%v plus %v is %v", x, y, sum)
		}
		words, narrow := numbers[int32](t, rng, n, 16), guard.Slice[int16](t, n)
		k.Narrow(narrow, words)
		for i, v := range words {
			if int32(narrow[i]) != v {
				t.Errorf("%d in 16 bits is %d", v, narrow[i])
			}
		}
	})
}

func TestBadConversions(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(){
		"shift": func() { NewConversion(31, 12) }, "bits": func() { NewConversion(1, 33) }, "accumulator": func() { NewAccumulator(31) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s out of range does not panic", name)
				}
			}()
			make()
		}()
	}
}
