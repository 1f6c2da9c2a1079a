package vecmath

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"bittern/accel/kernels/flush"
	"bittern/accel/kernels/internal/guard"
	"bittern/accel/kernels/isa"
)

// lengths are around the vector widths, and long enough for several of each.
var lengths = []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1027}

// numbers returns n guarded normal deviates, the same for the same arguments.
func numbers(t *testing.T, n int, seed uint64) []float32 {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	x := guard.Floats(t, n)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return x
}

// near says that got is within tolerance of want, relative to size.
func near(got float32, want, size, tolerance float64) bool {
	return math.Abs(float64(got)-want) <= tolerance*size
}

func TestElementwise(t *testing.T) {
	t.Parallel()
	const roundings = 4 * 0x1p-24 // of at most two operations, each half an ulp, and room
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths {
			for _, c := range []struct {
				name string
				run  func(dst, x, y, z []float32)
				want func(d, x, y, z float64) (value, size float64)
			}{
				{"add", func(d, x, _, _ []float32) { k.add(d, x) },
					func(d, x, _, _ float64) (float64, float64) { return d + x, math.Abs(d + x) }},
				{"mul", func(d, x, _, _ []float32) { k.mul(d, x) },
					func(d, x, _, _ float64) (float64, float64) { return d * x, math.Abs(d * x) }},
				{"axpy", func(d, x, _, _ []float32) { k.axpy(d, -0.3, x) },
					func(d, x, _, _ float64) (float64, float64) {
						a := float64(float32(-0.3))
						return d + a*x, math.Abs(d) + math.Abs(a*x)
					}},
				{"scale", func(d, _, _, _ []float32) { k.scale(d, 0.7) },
					func(d, _, _, _ float64) (float64, float64) {
						return d * float64(float32(0.7)), math.Abs(d)
					}},
				{"scaleShift", func(d, x, y, z []float32) { k.scaleShift(d, x, y, z) },
					func(_, x, y, z float64) (float64, float64) { return x*y + z, math.Abs(x*y) + math.Abs(z) }},
				{"reciprocalDeviation", func(d, _, _, _ []float32) { k.mul(d, d); k.reciprocalDeviation(d, d, 1e-5) },
					func(d, _, _, _ float64) (float64, float64) {
						want := 1 / math.Sqrt(float64(float32(d)*float32(d))+1e-5)
						return want, want
					}},
			} {
				dst, x, y, z := numbers(t, n, 1), numbers(t, n, 2), numbers(t, n, 3), numbers(t, n, 4)
				before := append([]float32(nil), dst...)
				c.run(dst, x, y, z)
				for i := range dst {
					want, size := c.want(float64(before[i]), float64(x[i]), float64(y[i]), float64(z[i]))
					if !near(dst[i], want, size, roundings) {
						t.Errorf("%s of %d elements: element %d = %v, want %v", c.name, n, i, dst[i], want)
					}
				}
			}
		}
	})
}

func TestDot(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths {
			x, y := numbers(t, n, 1), numbers(t, n, 2)
			var want, size float64
			for i := range x {
				want += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
			}
			// float64 sums in another order differ by n roundings at the very most.
			if got := k.dot(x, y); math.Abs(got-want) > float64(n)*0x1p-53*size {
				t.Errorf("dot of %d elements = %v, want %v", n, got, want)
			}
		}
	})
}

func TestPositionDoesNotMatter(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		const n = 71
		for name, activation := range map[string]func(dst, x []float32){"sigmoid": k.sigmoid, "tanh": k.tanh} {
			x := numbers(t, n, 5)
			whole := guard.Floats(t, n)
			activation(whole, x)
			for from := range n {
				part := guard.Floats(t, n-from)
				activation(part, x[from:])
				for i, got := range part {
					if want := whole[from+i]; got != want {
						t.Fatalf("%s of element %d is %v in a slice from %d on and %v in the whole", name, from+i, got, from, want)
					}
				}
			}
		}
	})
}

func TestVectorLevelsAgree(t *testing.T) {
	t.Parallel()
	if isa.Detected() < isa.AVX512 {
		t.Skipf("skipped the comparison of AVX2 with AVX-512: this machine has %s", isa.Detected())
	}
	x := make([]float32, 1<<16)
	for i := range x {
		x[i] = math.Float32frombits(uint32(i)<<16 | uint32(i))
	}
	wide, narrow := forLevel(isa.AVX512), forLevel(isa.AVX2)
	for _, c := range []struct {
		name         string
		wide, narrow func(dst, x []float32)
	}{{"sigmoid", wide.sigmoid, narrow.sigmoid}, {"tanh", wide.tanh, narrow.tanh}} {
		got, want := make([]float32, len(x)), make([]float32, len(x))
		c.wide(got, x)
		c.narrow(want, x)
		for i := range x {
			if !same(got[i], want[i]) {
				t.Fatalf("%s(%v) = %v with AVX-512 and %v with AVX2", c.name, x[i], got[i], want[i])
			}
		}
	}
}

// TestSoftmax holds the bounds that Softmax states, against float64.
func TestSoftmax(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range append(lengths[1:], 10_000) {
			for _, spread := range []float32{0.1, 1, 20} {
				x, got := numbers(t, n, 12), guard.Floats(t, n)
				most := math.Inf(-1)
				for i := range x {
					x[i] *= spread
					most = max(most, float64(x[i]))
				}
				sum := 0.0
				for _, v := range x {
					sum += math.Exp(float64(v) - most)
				}
				k.softmax(got, x, 1)
				for i, v := range x {
					below := most - float64(v)
					if below > 65 { // it may be flushed
						continue
					}
					want := math.Exp(-below) / sum
					if !near(got[i], want, want, 5e-7+6e-8*below) || !near(got[i], want, 1, 3e-7) {
						t.Fatalf("spread %v, element %d of %d, %v below the largest: got %v, want %v", spread, i, n, below, got[i], want)
					}
				}
			}
		}
	})
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths[1:] {
			for _, offset := range []float32{0, -300, 5000} { // beyond what exp alone could take
				logits := numbers(t, n, 6)
				for i := range logits {
					logits[i] = 8*logits[i] + offset
				}
				target, scale := n/2, float32(0.125)
				var sum float64
				for _, v := range logits {
					sum += math.Exp(float64(v - offset))
				}
				probability := make([]float64, n)
				for i, v := range logits {
					probability[i] = math.Exp(float64(v-offset)) / sum
				}
				wantLoss := math.Log(sum) - float64(logits[target]-offset)
				same := k.logSumExp(logits) - float64(logits[target])
				loss := k.softmaxCrossEntropy(logits, target, scale)
				if math.Abs(loss-wantLoss) > 3e-7 {
					t.Errorf("loss over %d classes at offset %v = %v, want %v", n, offset, loss, wantLoss)
				}
				if loss != same {
					t.Errorf("loss over %d classes at offset %v = %v with the gradient and %v without", n, offset, loss, same)
				}
				for i, got := range logits {
					want := probability[i]
					if i == target {
						want--
					}
					if !near(got, float64(scale)*want, float64(scale), 3e-7) {
						t.Errorf("gradient %d of %d at offset %v = %v, want %v", i, n, offset, got, float64(scale)*want)
					}
				}
			}
		}
	})
}

func TestSoftmaxOfNaN(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		for at := range 21 {
			logits := numbers(t, 21, 7)
			logits[at] = float32(math.NaN())
			if loss := k.softmaxCrossEntropy(logits, 20-at, 1); !math.IsNaN(loss) {
				t.Errorf("loss with NaN at %d = %v, want NaN", at, loss)
			}
		}
	})
}

func TestArgMax(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, c := range []struct {
			x    []float32
			want int
		}{
			{nil, -1}, {[]float32{-3}, 0}, {[]float32{-5, -2, -2}, 1}, {[]float32{nan, 1, nan, 2, nan}, 3},
			{[]float32{-inf, -inf}, 0}, {[]float32{nan, nan}, 0}, {[]float32{0, inf, 3}, 1},
		} {
			if got := k.argMax(c.x); got != c.want {
				t.Errorf("argMax(%v) = %d, want %d", c.x, got, c.want)
			}
		}
		for _, n := range lengths[1:] {
			x := numbers(t, n, 11)
			for want := range n {
				x[want] = 100 + float32(want)
				if got := k.argMax(x); got != want {
					t.Fatalf("argMax of %d elements = %d, want %d", n, got, want)
				}
			}
		}
	})
}

// TestAdam holds ten steps against Algorithm 1 of Kingma and Ba in float64.
func TestAdam(t *testing.T) {
	t.Parallel()
	settings := Adam{Rate: 0.002, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths {
			const gradScale = 0.5
			value, m, v := numbers(t, n, 8), guard.Floats(t, n), guard.Floats(t, n)
			clear(m)
			clear(v)
			want, wantM, wantV := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range value {
				want[i] = float64(value[i])
			}
			for step := 1; step <= 10; step++ {
				grad := numbers(t, n, uint64(100+step))
				settings.update(k, value, grad, m, v, step, gradScale)
				for i := range want {
					g := float64(grad[i]) * gradScale
					wantM[i] = settings.Beta1*wantM[i] + (1-settings.Beta1)*g
					wantV[i] = settings.Beta2*wantV[i] + (1-settings.Beta2)*g*g
					unbiasedM := wantM[i] / (1 - math.Pow(settings.Beta1, float64(step)))
					unbiasedV := wantV[i] / (1 - math.Pow(settings.Beta2, float64(step)))
					want[i] -= settings.Rate * unbiasedM / (math.Sqrt(unbiasedV) + settings.Epsilon)
				}
			}
			for i := range want {
				// A step moves a value by at most about Rate, and ten roundings are small beside it.
				if !near(value[i], want[i], math.Abs(want[i])+settings.Rate, 1e-6) ||
					!near(m[i], wantM[i], 1, 1e-6) || !near(v[i], wantV[i], wantV[i], 1e-5) {
					t.Errorf("element %d of %d: value, m, v = %v, %v, %v, want %v, %v, %v",
						i, n, value[i], m[i], v[i], want[i], wantM[i], wantV[i])
				}
			}
		}
	})
}

// TestAdamStep holds the bounds that Update states for one step, from any moments.
func TestAdamStep(t *testing.T) {
	t.Parallel()
	settings := Adam{Rate: 0.002, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths {
			for _, step := range []int{1, 2, 1000} {
				value, grad, m, v := numbers(t, n, 13), numbers(t, n, 14), numbers(t, n, 15), numbers(t, n, 16)
				before, m0, v0 := make([]float64, n), make([]float64, n), make([]float64, n)
				for i := range value {
					v[i] *= v[i]
					before[i], m0[i], v0[i] = float64(value[i]), float64(m[i]), float64(v[i])
				}
				settings.update(k, value, grad, m, v, step, 1)
				for i := range value {
					g := float64(grad[i])
					wantM := settings.Beta1*m0[i] + (1-settings.Beta1)*g
					sizeM := math.Abs(settings.Beta1*m0[i]) + math.Abs((1-settings.Beta1)*g)
					wantV := settings.Beta2*v0[i] + (1-settings.Beta2)*g*g
					perMoment := settings.Rate / (1 - math.Pow(settings.Beta1, float64(step))) /
						(math.Sqrt(wantV/(1-math.Pow(settings.Beta2, float64(step)))) + settings.Epsilon)
					if want := before[i] - perMoment*wantM; !near(m[i], wantM, sizeM, 3e-7) || !near(v[i], wantV, wantV, 3e-7) ||
						math.Abs(float64(value[i])-want) > 6e-8*math.Abs(want)+1e-6*perMoment*sizeM {
						t.Errorf("step %d, element %d of %d: value, m, v = %v, %v, %v, want %v, %v, %v", step, i, n, value[i], m[i], v[i], want, wantM, wantV)
					}
				}
			}
		}
	})
}

// TestAdamForgets gives parameters one gradient and none after it, or gradients that vanish: the
// moments come to 0, not to a subnormal number.
func TestAdamForgets(t *testing.T) {
	t.Parallel()
	settings := Adam{Rate: 0.002, Beta1: 0.9, Beta2: 0.9, Epsilon: 1e-8}
	everyLevel(t, func(t *testing.T, k *kernels) {
		const n = 33
		value, grad, m, v := numbers(t, n, 18), numbers(t, n, 19), make([]float32, n), make([]float32, n)
		for step := 1; step <= 1000; step++ {
			settings.update(k, value, grad, m, v, step, 1)
			for i := range grad {
				for _, moment := range []float32{m[i], v[i]} {
					if moment != 0 && math.Abs(float64(moment)) < flush.Least {
						t.Fatalf("step %d, element %d: m, v = %g, %g", step, i, m[i], v[i])
					}
				}
				switch {
				case i%2 == 0:
					grad[i] = 0
				case step%3 == 0 && math.Abs(float64(grad[i])) > flush.Least:
					grad[i] /= 2
				}
			}
		}
		for i := range m {
			if m[i] != 0 && i%2 == 0 || v[i] != 0 {
				t.Errorf("element %d: m, v = %g, %g", i, m[i], v[i])
			}
		}
	})
}

// TestSplitMix holds the generator against the first outputs of the authors'
// reference implementation for seed 1234567.
func TestSplitMix(t *testing.T) {
	t.Parallel()
	state := uint64(1234567)
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := splitMix(state); got != want {
			t.Errorf("output %d = %d, want %d", i, got, want)
		}
		state += splitMixIncrement
	}
}

func TestDropout(t *testing.T) {
	t.Parallel()
	const key = 0xB17E12
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, probability := range []float64{0, 0.5, 0.65} {
			for _, n := range lengths {
				for _, first := range []int{0, 1, 2, 1_000_003} {
					x, dst := numbers(t, n, 9), guard.Floats(t, n)
					dropout(k, dst, x, probability, key, first)
					for i, got := range dst {
						word := splitMix(key + uint64((first+i)/2)*splitMixIncrement)
						draw := uint32(word >> (32 * ((first + i) % 2)))
						want := float32(0)
						if float64(draw) >= math.Floor(probability*(1<<32)) {
							want = x[i] * float32(1/(1-probability))
						}
						if got != want {
							t.Fatalf("p %v, element %d+%d of %d: %v, want %v", probability, first, i, n, got, want)
						}
					}
				}
			}
		}
	})
}

// Samples are those that their rules choose from the draws of the generator, at
// every level the same.
func TestSamples(t *testing.T) {
	t.Parallel()
	const alpha, key = float32(0.0242), 0x5A3B1E
	minus := float32(math.Copysign(0, -1))
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, n := range lengths {
			for _, first := range []int{0, 2, 1_000_004} {
				x := numbers(t, n, 13)
				for i := range x {
					x[i] *= alpha
					switch i % 11 {
					case 5:
						x[i] = [...]float32{0, minus, alpha, -alpha}[i/11%4]
					case 7: // exactly what is drawn
						word := splitMix(key + uint64((first+i)/2)*splitMixIncrement)
						x[i] = float32(float32(int32(uint32(word>>(32*(i%2))))>>8) * (alpha * 0x1p-23))
					}
				}
				binary, ternary := guard.Floats(t, n), guard.Floats(t, n)
				state := key + uint64(first/2)*splitMixIncrement
				if !k.sampleBinary(binary, x, alpha, alpha*0x1p-23, state) || !k.sampleTernary(ternary, x, alpha, alpha*0x1p-24, state) {
					t.Fatalf("%d finite elements are not found finite", n)
				}
				for i, v := range x {
					draw := uint32(splitMix(key+uint64((first+i)/2)*splitMixIncrement) >> (32 * (i % 2)))
					want := -alpha
					if v > float32(float32(int32(draw)>>8)*(alpha*0x1p-23)) {
						want = alpha
					}
					if binary[i] != want {
						t.Fatalf("binary, element %d+%d of %d, %v: %v, want %v", first, i, n, v, binary[i], want)
					}
					want = 0
					if max(v, -v) > float32(float32(draw>>8)*(alpha*0x1p-24)) {
						want = float32(math.Copysign(float64(alpha), float64(v)))
					}
					if math.Float32bits(ternary[i]) != math.Float32bits(want) {
						t.Fatalf("ternary, element %d+%d of %d, %v: %v, want %v", first, i, n, v, ternary[i], want)
					}
				}
				for _, odd := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
					if n == 0 {
						continue
					}
					at := (n - 1) * 2 / 3
					kept := x[at]
					x[at] = odd
					if k.sampleBinary(binary, x, alpha, 1, state) || k.sampleTernary(ternary, x, alpha, 1, state) {
						t.Fatalf("element %d of %d is %v and found finite", at, n, odd)
					}
					x[at] = kept
				}
			}
		}
	})
}

func TestDropoutRate(t *testing.T) {
	t.Parallel()
	const n, probability = 1 << 20, 0.65
	x, dst := make([]float32, n), make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	Dropout(dst, x, probability, 3, 0)
	dropped := 0
	for _, v := range dst {
		if v == 0 {
			dropped++
		}
	}
	deviation := math.Sqrt(n * probability * (1 - probability))
	if z := (float64(dropped) - n*probability) / deviation; math.Abs(z) > 4 {
		t.Errorf("dropped %d of %d elements, %.1f standard deviations from %v", dropped, n, z, n*probability)
	}
}

func TestTranspose(t *testing.T) {
	t.Parallel()
	everyLevel(t, func(t *testing.T, k *kernels) {
		for _, rows := range []int{1, 3, 7, 8, 9, 16, 17, 40} {
			for _, cols := range []int{1, 3, 7, 8, 9, 16, 17, 40} {
				for _, pad := range []int{0, 5} {
					lds, ldd := cols+pad, rows+pad
					src := numbers(t, (rows-1)*lds+cols, 10)
					dst := guard.Floats(t, (cols-1)*ldd+rows)
					k.transpose(dst, ldd, src, lds, rows, cols)
					for j := range cols {
						for i := range rows {
							if got, want := dst[j*ldd+i], src[i*lds+j]; got != want {
								t.Fatalf("%d×%d: element (%d, %d) = %v, want %v", rows, cols, j, i, got, want)
							}
						}
						if j < cols-1 && guard.Changed(dst[j*ldd+rows:(j+1)*ldd]) >= 0 {
							t.Fatalf("%d×%d: wrote between rows %d and %d", rows, cols, j, j+1)
						}
					}
				}
			}
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	x, y, z := make([]float32, 100), make([]float32, 100), make([]float32, 100)
	v := make([]float32, 100)
	for name, run := range map[string]func(){
		"Sigmoid": func() { Sigmoid(x, x) }, "Tanh": func() { Tanh(x, x) },
		"Dot": func() { Dot(x, y) }, "SumSquares": func() { SumSquares(x) },
		"SoftmaxCrossEntropy": func() { SoftmaxCrossEntropy(x, 3, 1) }, "CrossEntropy": func() { CrossEntropy(x, 3) },
		"Adam":      func() { Adam{0.1, 0.9, 0.999, 1e-8}.Update(x, y, z, v, 1, 1) },
		"Dropout":   func() { Dropout(x, y, 0.5, 1, 1) },
		"Sample":    func() { SampleBinary(x, y, 0.5, 1, 2); SampleTernary(x, y, 0.5, 1, 2) },
		"Round":     func() { Round(x, y, 3) },
		"Transpose": func() { Transpose(x, 10, y, 10, 10, 10) },
	} {
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestMismatchPanicsWithBothLengths(t *testing.T) {
	t.Parallel()
	five, seven := make([]float32, 5), make([]float32, 7)
	for name, c := range map[string]struct {
		run  func()
		says []string
	}{
		"Add":                 {func() { Add(seven, five) }, []string{"5", "7"}},
		"ReciprocalDeviation": {func() { ReciprocalDeviation(five, seven, 1) }, []string{"5", "7"}},
		"ScaleShift":          {func() { ScaleShift(five, five, five, seven) }, []string{"5", "7"}},
		"Dot":                 {func() { Dot(five, seven) }, []string{"5", "7"}},
		"Round":               {func() { Round(five, seven, 1) }, []string{"5", "7"}},
		"Softmax":             {func() { Softmax(five, seven) }, []string{"5", "7"}},
		"SoftmaxCrossEntropy": {func() { SoftmaxCrossEntropy(five, 7, 1) }, []string{"5", "7"}},
		"Adam":                {func() { Adam{}.Update(five, five, five, seven, 1, 1) }, []string{"5", "7"}},
		"Adam step":           {func() { Adam{}.Update(five, five, five, five, 0, 1) }, []string{"0", "1"}},
		"SampleBinary":        {func() { SampleBinary(five, five, 1, 0, 3) }, []string{"element 3", "not even"}},
		"SampleTernary":       {func() { SampleTernary(five, five[:4], 1, 0, 0) }, []string{"5", "4"}},
		"Dropout":             {func() { Dropout(five, five, 1, 0, 0) }, []string{"1", "[0, 1)"}},
		"Transpose":           {func() { Transpose(five, 2, seven, 4, 2, 4) }, []string{"2×4", "5", "7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				message := fmt.Sprint(recover())
				for _, part := range c.says {
					if !strings.Contains(message, part) {
						t.Errorf("panic %q does not name %s", message, part)
					}
				}
			}()
			c.run()
		})
	}
}
