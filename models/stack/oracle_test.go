package stack

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"bittern/models/internal/reference"
	"bittern/models/recurrent"
	"bittern/plugins"
	"bittern/plugins/network"
)

// oracle is a rig's network in float64, layer on layer, with the noise of the rig's last step.
type oracle struct {
	rig        *rig
	parameters map[string][]float64
	states     map[string]reference.State // that layers ended with, where they are carried
	margin     float64                    // how close any rounded state was to the middle between two levels
}

func newOracle(r *rig) *oracle {
	o := &oracle{rig: r, parameters: map[string][]float64{}, states: map[string]reference.State{}, margin: math.Inf(1)}
	for _, p := range r.plan.Parameters {
		o.parameters[p.Name] = double(r.session().Effective(p.Name))
	}
	return o
}

func double(s []float32) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		out[i] = float64(v)
	}
	return out
}

// run computes the loss of the batch, and returns what computes the gradients of all
// parameters. Where state is carried the next run goes on from this one.
func (o *oracle) run() (loss float64, backward func() map[string][]float64) {
	loss, backward, ends := o.forward()
	o.states = ends
	return loss, backward
}

// trained is a layer with what it computed.
type trained struct {
	scan
	layer reference.Layer
	w     reference.Weights
	trace *reference.Trace
}

func (o *oracle) forward() (loss float64, backward func() map[string][]float64, ends map[string]reference.State) {
	a, batch := o.rig.session().Architecture, o.rig.request.Batch
	rows, steps := a.Shape.Sequences, a.steps()
	ends = map[string]reference.State{}
	var x [][]float64
	for step := range steps {
		x = append(x, o.features(step))
	}
	var layers [][]trained
	for i := range a.Layers {
		var directions []trained
		var states [][][]float64
		for _, scan := range a.scans(i) {
			l := o.layer(scan)
			l.trace = l.layer.Forward(l.w, x, o.start(scan))
			ends[scan.layer], o.margin = l.trace.Final(), min(o.margin, l.trace.Margin)
			directions, states = append(directions, l), append(states, l.trace.H)
		}
		layers = append(layers, directions)
		x = states[0]
		if a.Bidirectional {
			x = make([][]float64, steps)
			for t := range x {
				x[t] = beside(states[0][t], states[1][t], a.Units)
			}
		}
	}
	read := slices.Concat(x...)
	if a.once() {
		read = x[steps-1]
		if a.Bidirectional {
			top := layers[a.Layers-1]
			read = beside(top[0].trace.H[steps-1], top[1].trace.H[0], a.Units)
		}
	}
	softmax := reference.Softmax{Rows: len(read) / a.width(), Units: a.width(), Classes: a.Shape.Classes}
	w, bias := o.parameters[SoftmaxName], o.parameters[BiasName]
	targets := slices.Clone(batch.Targets)
	loss, _ = softmax.Loss(w, bias, read, targets)
	return loss, func() map[string][]float64 {
		gradients := map[string][]float64{}
		dW, dBias, dRead := softmax.Backward(w, bias, read, targets)
		gradients[SoftmaxName], gradients[BiasName] = dW, dBias
		d := make([][]float64, steps)
		for t := range d {
			d[t] = make([]float64, rows*a.width())
			if !a.once() {
				copy(d[t], dRead[t*rows*a.width():])
			}
		}
		if a.once() {
			for i, v := range dRead {
				if a.Bidirectional && i%a.width() >= a.Units {
					d[0][i] = v
				} else {
					d[steps-1][i] = v
				}
			}
		}
		for _, directions := range slices.Backward(layers) {
			var below [][]float64
			for k, l := range directions {
				mine := make([][]float64, steps)
				for t := range mine {
					for at := k * a.Units; at < len(d[t]); at += a.width() {
						mine[t] = append(mine[t], d[t][at:at+a.Units]...)
					}
				}
				g, dx := l.layer.Backward(l.w, l.trace, mine)
				for part, gradient := range l.layer.Named(g) {
					gradients[l.name(part)] = gradient
				}
				if below == nil {
					below = dx
					continue
				}
				for t := range dx {
					for i, v := range dx[t] {
						below[t][i] += v
					}
				}
			}
			d = below
		}
		if a.Embedding > 0 {
			vocabulary := a.input().Size
			dW := make([]float64, a.Embedding*vocabulary)
			for step, gradient := range d {
				for row := range rows {
					token := int(batch.Int32[a.input().Name][step*rows+row])
					for j := range a.Embedding {
						dW[j*vocabulary+token] += gradient[row*a.Embedding+j]
					}
				}
			}
			gradients[EmbeddingName] = dW
		}
		return gradients
	}, ends
}

// beside puts rows of units floats of a and b side by side.
func beside(a, b []float64, units int) (out []float64) {
	for at := 0; at < len(a); at += units {
		out = append(append(out, a[at:at+units]...), b[at:at+units]...)
	}
	return out
}

func (o *oracle) layer(s scan) trained {
	c, batch := s.config, o.rig.request.Batch
	l := trained{scan: s, layer: reference.Layer{
		Steps: c.Steps, Batch: c.Batch, Inputs: c.Inputs, Units: c.Units, Reverse: c.Reverse,
		GRU: c.Kind == recurrent.GRU, ResetBefore: c.ResetBefore, NormalizeCell: c.NormalizeCell, Bits: c.HiddenBits,
		Normalization: map[recurrent.Normalization]reference.Normalization{
			recurrent.NoNorm: reference.None, recurrent.BatchNorm: reference.Batch, recurrent.SharedBatchNorm: reference.Batch,
			recurrent.LayerNorm: reference.Over, recurrent.WeightNorm: reference.Weight,
		}[c.Normalization],
	}}
	for _, layer := range o.rig.session().layers {
		if layer.layer == s.layer && layer.noise != nil {
			l.layer.Noise = double(layer.noise)
		}
	}
	if name, given := o.rig.session().lengths(); given {
		for _, n := range batch.Int32[name] {
			l.layer.Lengths = append(l.layer.Lengths, int(n))
		}
	}
	get := func(part string) []float64 { return o.parameters[s.name(part)] }
	l.w = reference.Weights{
		Wx: get("Wx"), Wh: slices.Concat(get("Wh"), get("Whn")), Beta: get("beta"), H0: get("h0"), C0: get("c0"),
		GammaH: get("gamma_h"), GammaX: get("gamma_x"), BetaH: get("beta_h"), BetaX: get("beta_x"),
		GammaC: get("gamma_c"), BetaC: get("beta_c"),
	}
	return l
}

// start is the state that a layer's sequences go on from.
func (o *oracle) start(s scan) *reference.State {
	state, carried := o.states[s.layer]
	if !carried || !s.config.Carry {
		return nil
	}
	for i := range s.config.Batch {
		state.Fresh = append(state.Fresh, o.rig.request.Batch.Starts(i))
	}
	return &state
}

// features is what the first layer reads at a step.
func (o *oracle) features(step int) []float64 {
	a, batch := o.rig.session().Architecture, o.rig.request.Batch
	in, rows := a.input(), a.Shape.Sequences
	if in.Role == network.Features {
		n := rows * in.Size
		return double(batch.Float32[in.Name][step*n : (step+1)*n])
	}
	width := in.Size
	if a.Embedding > 0 {
		width = a.Embedding
	}
	x := make([]float64, rows*width)
	for row := range rows {
		token := int(batch.Int32[in.Name][step*rows+row])
		if a.Embedding == 0 {
			x[row*width+token] = 1
			continue
		}
		for j := range width {
			x[row*width+j] = o.parameters[EmbeddingName][j*in.Size+token]
		}
	}
	return x
}

// TestOracleGradients holds the oracle's gradients against central differences
// through whole stacks.
func TestOracleGradients(t *testing.T) {
	t.Parallel()
	small := func(s network.Shape) network.Shape {
		s.Steps, s.Sequences = map[string]int{"text": 3}, 4
		return s
	}
	for _, test := range []struct {
		options plugins.Values
		shape   network.Shape
	}{
		{plugins.Values{"units": "3", "layers": "2", "normalization": "none"}, small(carried(characters))},
		{plugins.Values{"units": "3", "normalization": "layer", "embedding": "2"}, small(carried(withLengths(characters)))},
		{plugins.Values{"units": "2", "layers": "2"}, small(carried(characters))},
		{plugins.Values{"units": "3", "layers": "2", "normalization": "weight"}, small(withLengths(characters))},
		{plugins.Values{"units": "3", "layers": "2", "normalization": "none", "bidirectional": "true", "embedding": "2"}, small(sentences)},
		{plugins.Values{"units": "3", "normalization": "layer", "bidirectional": "true"}, small(pixels)},
		{plugins.Values{"units": "3", "layers": "2", "initial-noise": "0.5"}, small(carried(characters))},
		{plugins.Values{"units": "3", "bidirectional": "true", "initial-noise": "0.5"}, small(pixels)},
	} {
		t.Run(fmt.Sprint(test.options), func(t *testing.T) {
			t.Parallel()
			r := build(t, test.options, test.shape, 1)
			r.randomise()
			o := newOracle(r)
			for name, p := range r.request.Parameters {
				o.parameters[name] = double(p.Value) // a row of ternary zeros has no norm
			}
			r.fill(1)
			r.allFresh()
			r.step(0)
			o.run()
			r.fill(2)
			r.drop()
			_, backward, _ := o.forward()
			got := backward()
			for name, value := range o.parameters {
				for i := range value {
					// Errors of h² and of ε/h, both below 1e-8 of what the curvature makes of them.
					const h = 1e-5
					at := value[i]
					value[i] = at + h
					above, _, _ := o.forward()
					value[i] = at - h
					below, _, _ := o.forward()
					value[i] = at
					if want := (above - below) / (2 * h); !(math.Abs(got[name][i]-want) <= 1e-6*(1+math.Abs(want))) {
						t.Errorf("gradient of %s[%d] is %v, finite differences %v", name, i, got[name][i], want)
					}
				}
			}
		})
	}
}
