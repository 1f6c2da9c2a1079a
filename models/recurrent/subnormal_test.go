package recurrent

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"bittern/accel/kernels/team"
)

// TestNoSubnormalGradients trains layers of every kind on sequences so long, and with weights
// so small, that the gradient of the last state vanishes on its way to the first: no
// subnormal number is left anywhere.
func TestNoSubnormalGradients(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{LSTM, GRU} {
		for _, n := range Normalizations {
			for _, before := range []bool{false, true} {
				if before && kind != GRU {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%t", kind, n, before), func(t *testing.T) {
					t.Parallel()
					workers := team.New(1)
					defer workers.Close()
					config := Config{
						Kind: kind, Steps: 784, Batch: 4, Inputs: 1, Units: 16, Normalization: n,
						NormalizeCell: kind == LSTM && n.Batch(), ResetBefore: before,
					}
					l, p := newLayer(t, workers, config), newProblem(config)
					config.Initialise(p.weights)
					for i := range p.weights.Wh {
						p.weights.Wh[i] /= 8
					}
					dw, dx := newWeights(config), make([]float32, len(p.input.Features))
					last := p.gradient[:config.Batch*config.Units]
					if err := errors.Join(l.Forward(p.weights, p.input), l.Backward(p.weights, p.input, last, dw, dx)); err != nil {
						t.Fatal(err)
					}
					common := layerOf(l)
					found := map[string][]float32{
						"products": common.products, "h": common.hidden, "dh": common.hiddenNext.parts[0].Data, "dx": dx,
					}
					if l, ok := l.(*lstm); ok {
						found["dc"], found["c"] = l.cellGradient.parts[0].Data, l.cell.parts[0].Data
					}
					for _, parameter := range common.parameters {
						found[parameter.Name] = *dw.Field(parameter.Name)
					}
					for name, values := range found {
						for i, v := range values {
							if v != 0 && math.Abs(float64(v)) < 0x1p-126 {
								t.Errorf("element %d of %s is %g", i, name, v)
								break
							}
						}
					}
					if n == NoNorm && common.products[0] != 0 {
						t.Errorf("the gradient of the first step is %g: it does not vanish, so the test shows nothing", common.products[0])
					}
				})
			}
		}
	}
}

func layerOf(l Layer) *layer {
	switch l := l.(type) {
	case *lstm:
		return &l.layer
	case *gru:
		return &l.layer
	}
	panic("a layer of another kind")
}
