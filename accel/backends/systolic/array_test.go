package systolic

import "testing"

// The cycles are those that SCALE-Sim reports without its stalls. Its reports count from
// cycle 0 to the last one, so they are one less. Of scalesim-project/scale-sim-v2:
//
//	test/general/golden_trace_user_{ws,os,is}/COMPUTE_REPORT.csv, 18975c2 and 6c524ac, of
//	topologies/GEMM_mnk/test_mnk_input.csv (256 × 128 × 256): 52447 − 41248 stalls,
//	52447 − 42272, 19984 − 5777
//	test/golden_trace/COMPUTE_REPORT.csv, 213cd1b, of topologies/conv_nets/alexnet_part.csv:
//	55² vectors of 11² · 3 elements, 96 filters: 112283
//
// all on the 32 × 32 array of configs/scale.cfg. Of scalesim-project/SCALE-Sim-validation,
// data/data_matmul_new/fusion_statistics_report_with_scale_sim_128.csv, 45818f1, on a
// 128 × 128 array, where as many vectors as there are outputs or fewer are streamed.
func TestCyclesAreThoseOfSCALESim(t *testing.T) {
	t.Parallel()
	small := func(f dataflow) array { return array{32, 32, f} }
	large := array{128, 128, weightStationary}
	for _, c := range []struct {
		array                   array
		vectors, outputs, depth int // M, N, K
		want                    int
	}{
		{small(weightStationary), 256, 128, 256, 52447 - 41248 + 1},
		{small(outputStationary), 256, 128, 256, 52447 - 42272 + 1},
		{small(inputStationary), 256, 128, 256, 19984 - 5777 + 1},
		{small(weightStationary), 55 * 55, 96, 11 * 11 * 3, 112283 + 1},
		{large, 32, 128, 112, 414},
		{large, 48, 112, 32, 430},
		{large, 64, 112, 112, 446},
		{large, 112, 128, 48, 494},
		{large, 128, 128, 128, 510},
	} {
		if got := c.array.cycles(product{outputs: c.outputs, depth: c.depth, vectors: c.vectors}); got != c.want {
			t.Errorf("%+v, M N K = %d %d %d: %d cycles, want %d", c.array, c.vectors, c.outputs, c.depth, got, c.want)
		}
	}
}

// SCALE-Sim's DETAILED_ACCESS_REPORT.csv of the same run counts 262144 inputs, 32768
// weights and 262144 sums.
func TestAccessesAreThoseOfSCALESim(t *testing.T) {
	t.Parallel()
	got := array{32, 32, weightStationary}.accesses(product{outputs: 128, depth: 256, vectors: 256})
	if want := (accesses{weights: 32768, inputs: 262144, sums: 262144}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// grid is a weight-stationary array whose elements move one step a cycle.
type grid struct {
	weights, inputs, sums [][]int
}

func newGrid(rows, columns int) *grid {
	matrix := func() [][]int {
		m := make([][]int, rows)
		for i := range m {
			m[i] = make([]int, columns)
		}
		return m
	}
	return &grid{matrix(), matrix(), matrix()}
}

// load pushes a row of weights in at the top.
func (g *grid) load(row []int) {
	for r := len(g.weights) - 1; r > 0; r-- {
		copy(g.weights[r], g.weights[r-1])
	}
	copy(g.weights[0], row)
}

// step takes inputs in from the left and moves inputs to the right and sums down.
func (g *grid) step(inputs []int) {
	for r := len(g.inputs) - 1; r >= 0; r-- {
		for c := len(g.inputs[r]) - 1; c >= 0; c-- {
			in, above := inputs[r], 0
			if c > 0 {
				in = g.inputs[r][c-1]
			}
			if r > 0 {
				above = g.sums[r-1][c]
			}
			g.inputs[r][c], g.sums[r][c] = in, above+g.weights[r][c]*in
		}
	}
}

// The formula is what an array takes that is clocked by hand: its weights are loaded row
// by row, inputs enter skewed, and it is done when the last sum leaves. The sums are right.
func TestCyclesOfAClockedArray(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, columns, outputs, depth, vectors int }{
		{4, 4, 4, 4, 1}, {4, 3, 7, 9, 1}, {3, 5, 11, 7, 4}, {2, 1, 3, 5, 6}, {5, 4, 3, 2, 3}, {1, 1, 2, 3, 2},
	} {
		weight := func(o, d int) int { return (3*o+5*d)%7 - 3 }
		input := func(d, v int) int { return (2*d+3*v)%5 - 2 }
		got := make([][]int, c.outputs)
		for o := range got {
			got[o] = make([]int, c.vectors)
		}
		cycles := 0
		for o0 := 0; o0 < c.outputs; o0 += c.columns {
			for d0 := 0; d0 < c.depth; d0 += c.rows {
				g := newGrid(c.rows, c.columns)
				for r := c.rows - 1; r >= 0; r-- {
					row := make([]int, c.columns)
					for k := range row {
						if o0+k < c.outputs && d0+r < c.depth {
							row[k] = weight(o0+k, d0+r)
						}
					}
					g.load(row)
					cycles++
				}
				for left, tick := c.vectors*c.columns, 0; left > 0; tick++ {
					in := make([]int, c.rows)
					for r := range in {
						if v := tick - r; v >= 0 && v < c.vectors && d0+r < c.depth {
							in[r] = input(d0+r, v)
						}
					}
					g.step(in)
					cycles++
					for k := range c.columns {
						if v := tick - (c.rows - 1) - k; v >= 0 && v < c.vectors {
							left--
							if o0+k < c.outputs {
								got[o0+k][v] += g.sums[c.rows-1][k]
							}
						}
					}
				}
			}
		}
		for o := range got {
			for v := range got[o] {
				want := 0
				for d := range c.depth {
					want += weight(o, d) * input(d, v)
				}
				if got[o][v] != want {
					t.Fatalf("%+v: output %d of vector %d is %d, want %d", c, o, v, got[o][v], want)
				}
			}
		}
		a := array{c.rows, c.columns, weightStationary}
		if want := a.cycles(product{c.outputs, c.depth, c.vectors}); cycles != want {
			t.Errorf("%+v: the clocked array takes %d cycles, the formula gives %d", c, cycles, want)
		}
	}
}
