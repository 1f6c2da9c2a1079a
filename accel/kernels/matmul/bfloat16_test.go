package matmul

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bittern/accel/kernels/team"
)

// fast are the kernels of bfloat16 but the portable one, which the others are compared with.
func fast(t *testing.T) []variant {
	t.Helper()
	var list []variant
	for _, one := range variants() {
		if one.kernel.pairing != nil && one.kernel != &portableBFloat16 {
			list = append(list, one)
		}
	}
	if list == nil {
		t.Skip("skipped: this machine has no kernel of bfloat16 to compare with the portable one")
	}
	return list
}

// identical says whether two numbers have the same bits, or are both NaN.
func identical(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

// drawAwkward draws float32 numbers of all kinds, so that sums overflow, cancel and become subnormal.
func drawAwkward(random *rand.Rand, data []float32) {
	kind := random.IntN(4)
	for i := range data {
		switch bits := random.Uint32(); kind {
		case 0: // any bits, NaN and infinities among them
			data[i] = math.Float32frombits(bits)
		case 1: // products at the edge of the normal numbers, and subnormals
			data[i] = math.Float32frombits(bits&0x80ffffff | (56+bits>>24&15)<<23)
		case 2: // few digits, so that much cancels
			data[i] = float32(int32(bits)>>29) * float32(math.Exp2(float64(bits&31)-16))
		default: // some special
			data[i] = [...]float32{0, float32(math.Copysign(0, -1)), 1, -1, 0x1p-126, 0x1p-149, 0x1.fcp-127, math.MaxFloat32, float32(math.Inf(1)), 0x1.01p0, 0x1.03p0}[bits%11]
		}
	}
}

// TestBFloat16LevelsAgree compares plain Go with the other kernels, that of VDPBF16PS among them: on
// sizes around the edges of tiles and pairs, on numbers of every kind, with and without scales.
func TestBFloat16LevelsAgree(t *testing.T) {
	t.Parallel()
	workers := team.New(1)
	defer workers.Close()
	want := newMultiplier(workers, &portableBFloat16)
	random := rand.New(rand.NewPCG(16, 8))
	subnormal, special := 0, 0
	for trial := range 400 {
		s := shape{m: 1 + random.IntN(10), n: 1 + random.IntN(60), k: 1 + random.IntN(70), transA: trial&1 != 0, transB: trial&2 != 0, accumulate: trial&4 != 0}
		if trial%50 == 0 {
			s.k += depthBFloat16 // more than one block
		}
		a, b, c := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
		drawAwkward(random, a)
		drawAwkward(random, b)
		drawAwkward(random, c)
		lda, ldb, stored := s.k, s.n, s.k
		if s.transA {
			lda = s.m
		}
		if s.transB {
			ldb, stored = s.k, s.n
		}
		var scale []float32
		if trial&8 != 0 {
			scale = make([]float32, stored)
			RowScales(scale, b, ldb, stored, ldb)
		}
		multiply := func(x *Multiplier, c []float32) []float32 {
			c = slices.Clone(c)
			if err := x.GemmScaled(c, s.n, s.accumulate, s.transA, s.transB, s.m, s.n, s.k, a, lda, b, ldb, scale); err != nil {
				t.Fatal(err)
			}
			return c
		}
		want := multiply(want, c)
		for _, one := range fast(t) {
			for i, got := range multiply(newMultiplier(workers, one.kernel), c) {
				if !identical(got, want[i]) {
					t.Fatalf("%v, %v, scaled %v: C[%d][%d]: got %x, want %x", one, s, scale != nil, i/s.n, i%s.n, got, want[i])
				}
			}
		}
		for _, c := range want {
			if c != c || math.IsInf(float64(c), 0) {
				special++
			} else if c == 0 {
				subnormal++
			}
		}
	}
	if subnormal == 0 || special == 0 {
		t.Errorf("%d sums were 0, %d infinite or NaN; the test must see both", subnormal, special)
	}
}

// TestAddProductRoundsOnce holds addProduct to the exact sum at the places where two roundings
// would show: just beside the middle of two neighbours, and at the least normal number.
func TestAddProductRoundsOnce(t *testing.T) {
	t.Parallel()
	minusZero := float32(math.Copysign(0, -1))
	tests := []struct{ sum, x, y, want float32 }{
		{1, 0x1p-12, 0x1p-12, 1},                                // the middle: to even
		{1, 0x1p-12, 0x1.02p-12, 0x1.000002p0},                  // just above it
		{0x1.000002p0, 0x1p-12, 0x1p-12, 0x1.000004p0},          // the middle: to even
		{0x1.000002p0, 0x1p-12, 0x1.fep-13, 0x1.000002p0},       // just below it
		{0x1p24, 0x1p-60, 0x1p-60, 0x1p24},                      // far away
		{0x1.000002p24, 0x1p0, 0x1p0, 0x1.000004p24},            // the middle: to even
		{0x1.8p-126, -0x1p-63, 0x1p-63, 0},                      // ½·2⁻¹²⁶ is subnormal
		{0x1p-126, -0x1p-75, 0x1p-76, 0x1p-126},                 // 2⁻¹²⁶ − 2⁻¹⁵¹ rounds to 2⁻¹²⁶
		{0x1p-126, -0x1p-75, 0x1p-75, 0},                        // 2⁻¹²⁶ − 2⁻¹⁵⁰ does not
		{-0x1p-126, 0x1p-75, 0x1p-75, minusZero},                // nor its negative
		{0, 0x1p-70, 0x1p-70, 0},                                // a product that is subnormal
		{0, -0x1p-70, 0x1p-70, minusZero},                       // and its negative
		{math.MaxFloat32, 0x1p64, 0x1p64, float32(math.Inf(1))}, // too large
		{float32(math.Inf(-1)), 1, 1, float32(math.Inf(-1))},
	}
	for _, test := range tests {
		if got := addProduct(test.sum, test.x, test.y); math.Float32bits(got) != math.Float32bits(test.want) {
			t.Errorf("%x + %x·%x: got %x, want %x", test.sum, test.x, test.y, got, test.want)
		}
	}
	workers := team.New(1)
	defer workers.Close()
	for _, test := range tests {
		if rounded(test.sum) != test.sum {
			continue // it cannot be made with one product
		}
		a, b, c := []float32{test.sum, 0, 0, test.x}, []float32{1, 0, 0, test.y}, []float32{0}
		for _, one := range fast(t) {
			if err := newMultiplier(workers, one.kernel).Gemm(c, 1, false, false, false, 1, 1, 4, a, 4, b, 1); err != nil {
				t.Fatal(err)
			}
			if c[0] != test.want {
				t.Errorf("%v: %x·1 + %x·%x: got %x, want %x", one, test.sum, test.x, test.y, c[0], test.want)
			}
		}
	}
	if got := addProduct(1, 0, float32(math.Inf(1))); got == got {
		t.Errorf("1 + 0·∞: got %v, want NaN", got)
	}
}

// TestRoundBFloat16 holds the rounding to its definition at every exponent, and the instruction to it.
func TestRoundBFloat16(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ v, want float32 }{
		{1, 1}, {0x1.01p0, 0x1p0}, {0x1.03p0, 0x1.04p0}, {0x1.0101p0, 0x1.02p0}, {0x1.00fffep0, 1},
		{math.MaxFloat32, float32(math.Inf(1))}, {0x1p-126, 0x1p-126}, {0x1.fffffcp-127, 0}, {-0x1p-149, float32(math.Copysign(0, -1))},
	} {
		if got := rounded(test.v); math.Float32bits(got) != math.Float32bits(test.want) {
			t.Errorf("%x: got %x, want %x", test.v, got, test.want)
		}
	}
	if got := rounded(math.Float32frombits(0x7f800001)); got == got {
		t.Errorf("a NaN became %v", got)
	}
	src := make([]float32, 0, 1<<16)
	for upper := range uint32(1 << 9) {
		for _, lower := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x17fff, 0x18000, 0x18001, 0x7f0000, 0x7f7fff, 0x7f8000, 0x7fffff, 0x400000, 0x3fffff, 0x10000} {
			src = append(src, math.Float32frombits(upper<<23|lower))
		}
	}
	half := len(src) / 2
	for _, one := range fast(t) {
		p := one.kernel.pairing
		along, across := make([]float32, half*p.floats), make([]float32, half*p.floats)
		p.along(along, src, nil, 1, len(src))
		p.across(across, half, src, half, []float32{1, 1}, half, 1)
		for i := range half {
			first, second := halves(along[i])
			firstAcross, secondAcross := halves(across[i])
			if p.floats == 2 {
				first, second, firstAcross, secondAcross = along[2*i+1], along[2*i], across[half+i], across[i]
			}
			for _, got := range [][2]float32{{first, src[2*i]}, {second, src[2*i+1]}, {firstAcross, src[i]}, {secondAcross, src[half+i]}} {
				if !identical(got[0], rounded(got[1])) {
					t.Fatalf("%v: %x: got %x, want %x", one, got[1], got[0], rounded(got[1]))
				}
			}
		}
	}
}

// TestScaledWeightsAreExact multiplies by rows of −α, 0 and α, another α in each row: the products
// are α times those with −1, 0 and 1, of which nothing is rounded.
func TestScaledWeightsAreExact(t *testing.T) {
	t.Parallel()
	const m, outputs, inputs = 5, 50, 90
	random := rand.New(rand.NewPCG(3, 1))
	alpha, signs, weights := make([]float32, outputs), make([]float32, outputs*inputs), make([]float32, outputs*inputs)
	for i := range outputs {
		alpha[i] = float32(math.Exp(random.NormFloat64()))
		for j := range inputs {
			signs[i*inputs+j] = float32(random.IntN(3) - 1)
			weights[i*inputs+j] = alpha[i] * signs[i*inputs+j]
		}
	}
	alpha[7] = 0 // a row of zeros
	clear(weights[7*inputs:][:inputs])
	clear(signs[7*inputs:][:inputs])
	scale := make([]float32, outputs)
	RowScales(scale, weights, inputs, outputs, inputs)
	for i, want := range alpha {
		if scale[i] != want {
			t.Fatalf("the scale of row %d: got %v, want %v", i, scale[i], want)
		}
	}
	workers := team.New(1)
	defer workers.Close()
	for _, one := range variants() {
		if one.kernel.pairing == nil {
			continue
		}
		x := newMultiplier(workers, one.kernel)
		product := func(transB bool, m, n, k int, a, b, scale []float32) []float32 {
			c := make([]float32, m*n)
			ldb := n
			if transB {
				ldb = k
			}
			if err := x.GemmScaled(c, n, false, false, transB, m, n, k, a, k, b, ldb, scale); err != nil {
				t.Fatal(err)
			}
			return c
		}
		h := filled(m, inputs, false, 0).data
		want := product(true, m, outputs, inputs, h, signs, nil)
		for i, got := range product(true, m, outputs, inputs, h, weights, scale) {
			if want := want[i] * alpha[i%outputs]; got != want {
				t.Fatalf("%v: output %d: got %v, want %v", one, i, got, want)
			}
		}
		gradient := filled(m, outputs, false, 0).data
		scaled := make([]float32, len(gradient))
		for i, g := range gradient {
			scaled[i] = g * alpha[i%outputs]
		}
		want = product(false, m, inputs, outputs, scaled, signs, nil)
		for i, got := range product(false, m, inputs, outputs, gradient, weights, scale) {
			if got != want[i] {
				t.Fatalf("%v: gradient of input %d: got %v, want %v", one, i, got, want[i])
			}
		}
	}
}

// TestEncodings disassembles the instructions that the generator wrote as bytes.
func TestEncodings(t *testing.T) {
	t.Parallel()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("skipped the disassembly: objdump is not installed; install binutils")
	}
	source, err := os.ReadFile("matmul_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`LONG \$0x([0-9a-f]+); WORD \$0x([0-9a-f]+) // (\w+) Z(\d+), Z(\d+), Z(\d+)`).FindAllStringSubmatch(string(source), -1)
	var code []byte
	var want []string
	for _, line := range lines {
		long, errLong := strconv.ParseUint(line[1], 16, 32)
		word, errWord := strconv.ParseUint(line[2], 16, 16)
		if errLong != nil || errWord != nil {
			t.Fatal(line[0])
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(long))
		code = binary.LittleEndian.AppendUint16(code, uint16(word))
		want = append(want, fmt.Sprintf("%s %%zmm%s,%%zmm%s,%%zmm%s", strings.ToLower(line[3]), line[4], line[5], line[6]))
	}
	if len(want) < 90 {
		t.Fatalf("matmul_amd64.s has %d instructions as bytes, want those of all tiles", len(want))
	}
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Split(line, "\t"); len(fields) == 3 {
			got = append(got, strings.Join(strings.Fields(fields[2]), " "))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the bytes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
