package alternating

import (
	"math"
	"slices"
)

// maxPlanes is how many planes a row may have, and maxCodes how many codes they give.
const (
	maxPlanes = 4
	maxCodes  = 1 << maxPlanes
)

// A row is one row of a matrix, as the sum of planes of signs each with a scale:
// w ≈ Σ scale·b, b = ±1. Bit i of a weight's code is set where b of plane i is +1.
type row struct {
	weights  []float32
	codes    []uint8
	scales   []float32 // one of each plane
	residual []float32 // scratch
}

// sum returns Σ|w|, which is NaN or infinite where a weight is.
func (r *row) sum() float64 {
	total := 0.
	for _, w := range r.weights {
		total += math.Abs(float64(w))
	}
	return total
}

// greedy subtracts one plane after another from the weights: the scale is the mean size of what
// the planes before leave, and b its sign.
func (r *row) greedy() {
	clear(r.codes)
	copy(r.residual, r.weights)
	left := r.sum()
	for plane := range r.scales {
		scale := float32(left / float64(len(r.weights)))
		r.scales[plane] = scale
		left = r.take(plane, scale)
	}
}

// take makes a plane of the signs of the residual and subtracts scale times them. It
// returns the sum of the sizes of what is left.
func (r *row) take(plane int, scale float32) float64 {
	level, left := math.Float32bits(scale), 0.
	codes := r.codes[:len(r.residual)]
	for i, v := range r.residual {
		sign := math.Float32bits(v+0) & (1 << 31) // −0 + 0 = +0
		codes[i] |= uint8(^sign>>31) << plane
		v -= math.Float32frombits(level | sign)
		r.residual[i] = v
		left += math.Abs(float64(v))
	}
	return left
}

// refined is greedy that, after each plane, finds the scales of all planes so far anew
// by least squares.
func (r *row) refined() {
	clear(r.codes)
	copy(r.residual, r.weights)
	for plane := range r.scales {
		scales := r.scales[:plane+1]
		r.take(plane, 0)
		r.statistics().leastSquares(scales)
		for i, scale := range scales {
			if scale < 0 { // the same with a positive scale
				scales[i] = -scale
				for k := range r.codes {
					r.codes[k] ^= 1 << i
				}
			}
		}
		values := sums(scales)
		for i, code := range r.codes {
			r.residual[i] = r.weights[i] - values[code]
		}
	}
}

// alternating starts greedily, and then in turns finds the scales by least squares, and the
// codes nearest to the weights with these scales.
func (r *row) alternating(cycles int) {
	r.greedy()
	s := r.statistics()
	for range cycles {
		s.leastSquares(r.scales)
		for i, scale := range r.scales {
			r.scales[i] = float32(math.Abs(float64(scale)))
		}
		slices.Sort(r.scales)
		slices.Reverse(r.scales)
		s = newTree(r.scales).code(r)
	}
}

// statistics are what least squares needs to know of the weights that have each code.
type statistics struct {
	count, sum [maxCodes]float64
}

func (r *row) statistics() *statistics {
	s := new(statistics)
	weights := r.weights[:len(r.codes)]
	for i, code := range r.codes {
		s.count[code%maxCodes]++
		s.sum[code%maxCodes] += float64(weights[i])
	}
	return s
}

// leastSquares finds the scales α that minimise ‖w − Bα‖², from BᵀB·α = Bᵀw. A plane that is a
// linear combination of those before it, such as a copy of one, adds nothing to what they can
// represent and gets the scale 0.
func (s *statistics) leastSquares(scales []float32) {
	// dependent is the share of a plane's signs that must be independent of other planes.
	// B is of ±1, so that an independent plane's is far larger.
	const dependent = 1e-9
	n := len(scales)
	var gram [maxPlanes][maxPlanes]float64
	var alpha, pivots [maxPlanes]float64
	for code := range s.count {
		for i := range n {
			b := sign(code, i)
			alpha[i] += b * s.sum[code]
			for j := range i + 1 {
				gram[i][j] += b * sign(code, j) * s.count[code]
			}
		}
	}
	// BᵀB = L·D·Lᵀ, with L in the place of BᵀB below its diagonal.
	for i := range n {
		pivots[i] = gram[i][i]
		for j := range i {
			for k := range j {
				gram[i][j] -= gram[i][k] * gram[j][k] * pivots[k]
			}
			if pivots[j] > 0 {
				gram[i][j] /= pivots[j]
			} else {
				gram[i][j] = 0
			}
			pivots[i] -= gram[i][j] * gram[i][j] * pivots[j]
		}
		if pivots[i] < dependent*gram[i][i] {
			pivots[i] = 0
		}
	}
	for i := range n {
		for j := range i {
			alpha[i] -= gram[i][j] * alpha[j]
		}
	}
	for i := n - 1; i >= 0; i-- {
		if pivots[i] == 0 {
			alpha[i] = 0
			continue
		}
		alpha[i] /= pivots[i]
		for j := i + 1; j < n; j++ {
			alpha[i] -= gram[j][i] * alpha[j]
		}
	}
	for i := range n {
		scales[i] = float32(alpha[i])
	}
}

// sign returns b of a plane, given the code.
func sign(code, plane int) float64 { return float64(code>>plane&1*2 - 1) }

// sums returns the value of each code with the given scales, added up as the planes of
// a frozen weight are.
func sums(scales []float32) (values [maxCodes]float32) {
	for code := range 1 << len(scales) {
		for plane, scale := range scales {
			values[code] += scale * float32(sign(code, plane))
		}
	}
	return values
}

// A tree finds the code whose value is nearest to a weight. The values of a code and of
// its complement differ in sign alone, so it searches among the values that are not
// negative, by the size of the weight. It has as many leaves as four planes need; with
// fewer planes the further ones are never reached.
type tree struct {
	bounds [maxCodes/2 - 1]uint32 // the middle between two neighbouring values, as the bits of a float32
	codes  [maxCodes / 2]uint8    // ascending in value
	mask   uint8                  // of all planes
}

func newTree(scales []float32) *tree {
	values := sums(scales)
	t := &tree{mask: 1<<len(scales) - 1}
	n := 0
	for code := range uint8(1 << len(scales)) {
		if v := values[code]; v > 0 || v == 0 && code&1 != 0 { // of two zeros, that with the first plane's +1
			place := n
			for place > 0 && values[t.codes[place-1]] > v {
				t.codes[place] = t.codes[place-1]
				place--
			}
			t.codes[place] = code
			n++
		}
	}
	for i := range t.bounds {
		t.bounds[i] = math.Float32bits(float32(math.Inf(1)))
		if i+1 < n {
			t.bounds[i] = math.Float32bits((values[t.codes[i]] + values[t.codes[i+1]]) / 2)
		}
	}
	return t
}

// code sets the codes of the row. A weight in the middle between two values gets the one of the
// larger size.
func (t *tree) code(r *row) *statistics {
	s := new(statistics)
	codes := r.codes[:len(r.weights)]
	for i, w := range r.weights {
		bits := math.Float32bits(w + 0)
		size, negative := int32(bits&^(1<<31)), int32(bits)>>31
		// Three steps down the tree, without branches: each is −1 where the size
		// reaches the bound, else 0.
		leaf := (int32(t.bounds[3]) - 1 - size) >> 31 & 4
		leaf += (int32(t.bounds[leaf+1]) - 1 - size) >> 31 & 2
		leaf += (int32(t.bounds[leaf]) - 1 - size) >> 31 & 1
		code := t.codes[leaf] ^ uint8(negative)&t.mask
		codes[i] = code
		s.count[code%maxCodes]++
		s.sum[code%maxCodes] += float64(w)
	}
	return s
}
