package recurrent

import (
	"strings"
	"testing"
)

// TestSizes counts parameters and running statistics as Hou et al.'s poster
// does: with v = 16d and c = 4d bytes 4d(V+d) weights, a bias of v and for each
// normalization what follows. Initial states are not among them: theirs are 0.
func TestSizes(t *testing.T) {
	t.Parallel()
	const d, symbols, steps = 512, 87, 100
	const v, c = 16 * d, 4 * d
	for _, test := range []struct {
		normalization Normalization
		cell          bool
		want          int
	}{
		{NoNorm, false, 0},
		{WeightNorm, false, 2 * v},
		{LayerNorm, false, 4 * v},
		{SharedBatchNorm, false, 8 * v},
		{BatchNorm, false, 4*v + 4*v*steps},
		// Ardakani et al.'s products share the bias v; the poster counts two more for them.
		{BatchNorm, true, 4*v + 4*v*steps + 2*c + 2*c*steps - 2*v},
	} {
		config := Config{
			Steps: steps, Batch: 64, Inputs: symbols, Units: d, Tokens: true,
			Normalization: test.normalization, NormalizeCell: test.cell,
		}
		quantized, side := 0, 0
		for _, p := range append(config.Parameters(), config.Buffers()...) {
			n := 1
			for _, size := range p.Shape {
				n *= size
			}
			switch {
			case p.Quantize:
				quantized += n
			case p.Name != "h0" && p.Name != "c0":
				side += 4 * n
			}
		}
		if quantized != 4*d*(symbols+d) {
			t.Errorf("%s: %d weights, want %d", test.normalization, quantized, 4*d*(symbols+d))
		}
		if side != v+test.want {
			t.Errorf("%s, cell %v: %d bytes beside the weights, want %d", test.normalization, test.cell, side, v+test.want)
		}
	}
}

func TestRefusedConfigs(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"units is 0":                       {Steps: 1, Batch: 1, Inputs: 1},
		"at least 2":                       {Steps: 1, Batch: 1, Inputs: 1, Units: 1, Normalization: BatchNorm},
		"normalization batch-shared takes": {Kind: GRU, Steps: 1, Batch: 1, Inputs: 1, Units: 1, Normalization: SharedBatchNorm},
		"only an LSTM":                     {Kind: GRU, Steps: 1, Batch: 2, Inputs: 1, Units: 1, Normalization: BatchNorm, NormalizeCell: true},
		"normalises its cell":              {Steps: 1, Batch: 2, Inputs: 1, Units: 1, Normalization: LayerNorm, NormalizeCell: true},
		"cannot be rounded to -1 bits":     {Steps: 1, Batch: 1, Inputs: 1, Units: 1, HiddenBits: -1},
		"give 1 to 8, or 0":                {Kind: GRU, Steps: 1, Batch: 1, Inputs: 1, Units: 1, HiddenBits: 9},
		"only a GRU":                       {Steps: 1, Batch: 2, Inputs: 1, Units: 1, ResetBefore: true},
	} {
		if l, err := New(nil, c); l != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want an error that says %q", c, err, want)
		}
	}
}

func TestNormalizationNames(t *testing.T) {
	t.Parallel()
	for _, n := range Normalizations {
		if got, err := ParseNormalization(n.String()); got != n || err != nil {
			t.Errorf("%s: got %s, %v", n, got, err)
		}
	}
	if _, err := ParseNormalization("batches"); err == nil || !strings.Contains(err.Error(), "batch-shared") {
		t.Errorf("got %v, want an error that lists the names", err)
	}
}
