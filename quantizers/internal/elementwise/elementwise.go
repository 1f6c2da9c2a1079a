// Package elementwise is shared by the quantizers that quantize each weight by itself, given
// a scale. A quantized weight is a level of a codebook times the scale of its matrix or row,
// which a [Rule] derives from the shape or from the latent weights; or it is a sum of planes
// of signs, each with a scale for its row. These quantizers differ only in their rule. A rule
// may learn numbers, such as scales, for each matrix or row.
package elementwise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/parallel"
	"bittern/quantizers/internal/random"
)

// Rule is what makes one quantizer differ from another.
type Rule struct {
	// Fit computes what the kernel needs to know of a matrix, or of a row if PerRow is
	// set.
	Fit    func(Group) Fit
	PerRow bool

	// Moments says that the fit needs Adam's second moments of the gradient. The
	// Description must then have TraitSecondMoments.
	Moments bool

	// Learned names the numbers of a group that are trained: the states of the
	// quantizer. Initial returns their first values, in this order. A value of 0 means
	// that the whole group is zero, which is an error, and so is a value that is not
	// finite, as for the scale of a Fit.
	Learned []string
	Initial func(Group) []float32

	// Kernel quantizes with a fit. One that draws cannot be PerRow.
	Kernel Kernel

	// Levels are the codebook, as ascending multiples of the fit's scale, unless the fit
	// has a codebook of its own. Without levels the weights stay in full precision. A
	// kernel only writes products of the scale and a level, rounded to float32.
	Levels []float32

	// Planes takes the place of the fit, the kernel and the levels of a rule that is
	// PerRow, and whose weights are sums of planes.
	Planes *Planes

	// Backward turns the gradient of a group with respect to the quantized weights
	// into the one with respect to the latent weights, in place, and writes those of the
	// learned numbers. Where it is nil the gradient passes straight through.
	Backward func(Group, Fit)

	// Clip returns the bound that latent weights are clipped to after each update; nil if
	// they are not clipped.
	//
	// The text of arXiv 1809.11086 clips probabilities, never the latent weights;
	// nor does its code, whose character models clip the step of an update of
	// binary weights to [−α, α]. Adam's steps are at most 3.2 learning rates long
	// (Kingma & Ba, ICLR 2015, section 2.1, at β₁ = 0.9, β₂ = 0.999), less than α at
	// those models' sizes and rates, so that clip never acts and is left out.
	Clip func(rows, cols int) float32
}

// Fit holds what a rule computes about a group before it quantizes it.
type Fit struct {
	// Scale is what levels are multiplied by. A scale of 0 means that the whole group is
	// zero, and one that is not finite means that a latent weight is not finite. Both
	// are errors.
	Scale float32
	// Bound is what latent weights are compared with, such as the threshold of a ternary
	// rule or the size of the largest weight.
	Bound float32
	// Levels is a codebook of this matrix alone, in any order, as multiples of the
	// scale. Only a rule that is not PerRow may have one.
	Levels []float32
}

// Binary and Ternary are codebooks as multiples of the scale.
var (
	Binary  = []float32{-1, 1}
	Ternary = []float32{-1, 0, 1}
)

// Alpha is the scale of a matrix of rows outputs by cols inputs:
//
//	α = ½·sqrt(6 / (cols + rows))
//
// which is half the bound of Glorot & Bengio's uniform initialisation (AISTATS
// 2010). For an LSTM rows = 4·units, and it is the α of "Learning Recurrent
// Binary/Ternary Weights" (arXiv 1809.11086): ½·sqrt(6 / (fan_in + 4·units)).
func Alpha(rows, cols int) float32 {
	return float32(math.Sqrt(6/(float64(rows)+float64(cols))) / 2)
}

// Unit is the scale 1.
func Unit(rows, cols int) float32 { return 1 }

// Fixed returns a fit whose scale depends on the shape alone. Its bound is a third of the
// scale, the threshold of deterministic ternary weights.
func Fixed(scale func(rows, cols int) float32) func(Group) Fit {
	return func(g Group) Fit {
		s := scale(g.Rows, g.Cols)
		return Fit{Scale: s, Bound: s / 3}
	}
}

// MeanSize fits the mean of |w| as the scale.
func MeanSize(g Group) Fit { return Fit{Scale: float32(g.MeanSize())} }

// Quantizer is a [quantizer.Quantizer] made of a rule.
type Quantizer struct {
	description plugins.Description
	choose      func(plugins.Values) Rule

	rule    Rule
	weights []quantizer.Weight
	chunks  []chunk
}

var _ quantizer.Quantizer = (*Quantizer)(nil)

// chunk is a part of a weight that one goroutine treats at a time: whole rows where the
// rule has a scale for each.
type chunk struct{ weight, from, to int }

// chunkSize is in elements: small enough to even out the work over cores and
// to stay in a first-level cache, and even as kernels ask.
const chunkSize = 1 << 13

// New makes a quantizer with this description. When it is opened, choose returns the rule for
// the given options.
func New(description plugins.Description, choose func(plugins.Values) Rule) *Quantizer {
	description.Kind = plugins.KindQuantizer
	description.API = plugins.APIVersion
	return &Quantizer{description: description, choose: choose}
}

// Describe implements [quantizer.Quantizer].
func (q *Quantizer) Describe(ctx context.Context) (plugins.Description, error) {
	return q.description, ctx.Err()
}

// Plan implements [quantizer.Quantizer]: the states are what the rule learns.
func (q *Quantizer) Plan(ctx context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rule, err := q.resolve(options)
	if err != nil {
		return nil, err
	}
	if err := checkShapes(weights); err != nil {
		return nil, err
	}
	var states []quantizer.State
	for _, w := range weights {
		for _, name := range rule.Learned {
			states = append(states, quantizer.State{Name: name, Weight: w.Name, Shape: []int{rule.groups(w)}, Trained: true})
		}
	}
	return states, nil
}

// groups is the number of groups of a weight.
func (r Rule) groups(w quantizer.Shape) int {
	if r.PerRow {
		return w.Rows
	}
	return 1
}

// Open implements [quantizer.Quantizer].
func (q *Quantizer) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	rule, err := q.resolve(options)
	if err != nil {
		return err
	}
	shapes := make([]quantizer.Shape, len(weights))
	for i, w := range weights {
		shapes[i] = w.Shape
	}
	if err := checkShapes(shapes); err != nil {
		return err
	}
	var chunks []chunk
	for i, w := range weights {
		n := w.Rows * w.Cols
		if len(w.Latent) != n || len(w.Quantized) != n || rule.Backward != nil && len(w.Grad) != n {
			return fmt.Errorf("weight %s is %d×%d and has %d latent and %d quantized elements and a gradient of %d",
				w.Name, w.Rows, w.Cols, len(w.Latent), len(w.Quantized), len(w.Grad))
		}
		if rule.Moments && len(w.Moment2) != n {
			return fmt.Errorf("weight %s is %d×%d and has %d second moments of Adam: train with the optimiser adam",
				w.Name, w.Rows, w.Cols, len(w.Moment2))
		}
		for _, name := range rule.Learned {
			if s, groups := w.State[name], rule.groups(w.Shape); len(s.Value) != groups || len(s.Grad) != groups {
				return fmt.Errorf("the state %s of weight %s has %d values and a gradient of %d, want %d of both",
					name, w.Name, len(s.Value), len(s.Grad), groups)
			}
		}
		size := chunkSize
		if rule.PerRow {
			size = max(1, chunkSize/w.Cols) * w.Cols
		}
		for from := 0; from < n; from += size {
			chunks = append(chunks, chunk{i, from, min(from+size, n)})
		}
	}
	q.rule, q.weights, q.chunks = rule, slices.Clone(weights), chunks
	return nil
}

// Initialise implements [quantizer.Quantizer]: it writes the first values of what the
// rule learns.
func (q *Quantizer) Initialise(ctx context.Context) error {
	if err := q.ready(ctx); err != nil || q.rule.Initial == nil {
		return err
	}
	return q.groups(func(g Group) error {
		values := q.rule.Initial(g)
		for k, name := range q.rule.Learned {
			if err := q.sound(g, values[k]); err != nil {
				return err
			}
			q.weights[g.weight].State[name].Value[q.place(g)] = values[k]
		}
		return nil
	})
}

// Quantize implements [quantizer.Quantizer]. A latent weight that is not finite is an
// error that names it, and so is a matrix or row that is all zero where its scale would
// be too.
func (q *Quantizer) Quantize(ctx context.Context, draw quantizer.Draw) error {
	targets := make([][]float32, len(q.weights))
	for i, w := range q.weights {
		targets[i] = w.Quantized
	}
	return q.draw(ctx, draw, targets)
}

// Freeze implements [quantizer.Quantizer]: the codes of what Quantize writes
// for the same draw. It leaves Quantized alone.
func (q *Quantizer) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	if q.rule.Planes != nil {
		if err := q.ready(ctx); err != nil {
			return nil, err
		}
		return q.freezePlanes()
	}
	targets := make([][]float32, len(q.weights))
	for i, w := range q.weights {
		targets[i] = make([]float32, len(w.Latent))
	}
	if err := q.draw(ctx, draw, targets); err != nil {
		return nil, err
	}
	frozen := make([]quantizer.Frozen, len(q.weights))
	for i := range q.weights {
		frozen[i] = q.freeze(i, targets[i])
	}
	return frozen, nil
}

// freeze turns the quantized values of a weight into codes.
func (q *Quantizer) freeze(weight int, values []float32) quantizer.Frozen {
	frozen := quantizer.Frozen{Name: q.weights[weight].Name}
	plane, size := quantizer.Plane{Codes: make([]uint16, len(values))}, q.groupSize(weight)
	var products []float32
	for from := 0; from < len(values); from += size {
		fit := q.rule.Fit(q.group(weight, from, parallel.Each))
		if plane.Levels = q.rule.Levels; len(fit.Levels) > 0 {
			plane.Levels = slices.Sorted(slices.Values(fit.Levels))
		}
		if len(plane.Levels) == 0 {
			frozen.Values = values
			return frozen
		}
		products = products[:0]
		for _, level := range plane.Levels {
			products = append(products, fit.Scale*level) // as Quantize writes them
		}
		for i, value := range values[from : from+size] {
			code, _ := slices.BinarySearch(products, value)
			plane.Codes[from+i] = uint16(code)
		}
		plane.Scales = append(plane.Scales, fit.Scale)
	}
	plane.Bits = bits.Len(uint(len(plane.Levels) - 1))
	frozen.Planes = []quantizer.Plane{plane}
	return frozen
}

// Project implements [quantizer.Quantizer]: it clips the latent weights where the rule
// asks for it.
func (q *Quantizer) Project(ctx context.Context) error {
	if err := q.ready(ctx); err != nil || q.rule.Clip == nil {
		return err
	}
	parallel.Each(len(q.chunks), func(i int) {
		part := q.chunks[i]
		w := q.weights[part.weight]
		bound, latent := q.rule.Clip(w.Rows, w.Cols), w.Latent[part.from:part.to]
		for i, value := range latent {
			if value > bound {
				latent[i] = bound
			} else if value < -bound {
				latent[i] = -bound
			}
		}
	})
	return nil
}

// Backward implements [quantizer.Quantizer]: it is the rule's, or the gradient passes
// straight through.
func (q *Quantizer) Backward(ctx context.Context, _ quantizer.Backward) error {
	if err := q.ready(ctx); err != nil || q.rule.Backward == nil {
		return err
	}
	return q.fitted(func(g Group, fit Fit) error {
		q.rule.Backward(g, fit)
		for k, name := range q.rule.Learned {
			q.weights[g.weight].State[name].Grad[q.place(g)] = g.LearnedGrad[k]
		}
		return nil
	})
}

// draw writes one draw of every weight to its target.
func (q *Quantizer) draw(ctx context.Context, draw quantizer.Draw, targets [][]float32) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	if q.rule.Planes != nil {
		return q.quantizePlanes(targets)
	}
	streams := make([]random.Stream, len(q.weights))
	for i, w := range q.weights {
		streams[i] = random.NewStream(draw.Seed, draw.Step, w.Name)
	}
	return q.fitted(func(g Group, fit Fit) error {
		var failed atomic.Bool
		g.Parts(func(from, to int) {
			target := targets[g.weight][g.first+from : g.first+to]
			if !q.rule.Kernel(target, g.Latent[from:to], fit, streams[g.weight], g.first+from) {
				failed.Store(true)
			}
		})
		if failed.Load() {
			return q.notFinite()
		}
		return nil
	})
}

// fitted calls work for every group with its fit, in the way of groups.
func (q *Quantizer) fitted(work func(Group, Fit) error) error {
	return q.groups(func(g Group) error {
		for k, value := range g.Learned {
			if !finite(value) {
				return fmt.Errorf("the learned %s of %s is %v: training has diverged, lower the learning rate or clip the gradient",
					q.rule.Learned[k], q.weights[g.weight].Name, value)
			}
		}
		fit := q.rule.Fit(g)
		if err := q.sound(g, fit.Scale); err != nil {
			return err
		}
		return work(g, fit)
	})
}

// sound returns an error if a number that a rule derived from a group cannot be used.
func (q *Quantizer) sound(g Group, derived float32) error {
	switch {
	case derived == 0:
		return q.allZero(g)
	case !finite(derived):
		return q.notFinite()
	}
	return nil
}

// groups calls work for every group, on as many goroutines as may run at once: several rows at
// a time, or a matrix at a time, whose parts then run at once.
func (q *Quantizer) groups(work func(Group) error) error {
	if !q.rule.PerRow {
		for weight := range q.weights {
			if err := work(q.group(weight, 0, parallel.Each)); err != nil {
				return err
			}
		}
		return nil
	}
	failures := make([]error, len(q.chunks))
	parallel.Each(len(q.chunks), func(i int) {
		part := q.chunks[i]
		for first := part.from; first < part.to && failures[i] == nil; first += q.groupSize(part.weight) {
			failures[i] = work(q.group(part.weight, first, serial))
		}
	})
	return firstOf(failures)
}

// groupSize is the number of elements that share a scale.
func (q *Quantizer) groupSize(weight int) int {
	if q.rule.PerRow {
		return q.weights[weight].Cols
	}
	return len(q.weights[weight].Latent)
}

// group returns the group that starts at an element of a weight.
func (q *Quantizer) group(weight, first int, run runner) Group {
	w, size := q.weights[weight], q.groupSize(weight)
	g := Group{Rows: w.Rows, Cols: w.Cols, Latent: w.Latent[first : first+size], weight: weight, first: first, run: run}
	if q.rule.Backward != nil {
		g.Grad = w.Grad[first : first+size]
	}
	if q.rule.Moments {
		g.Moments = w.Moment2[first : first+size]
	}
	if learned := len(q.rule.Learned); learned > 0 {
		g.Learned, g.LearnedGrad = make([]float32, learned), make([]float32, learned)
		for k, name := range q.rule.Learned {
			g.Learned[k] = w.State[name].Value[q.place(g)]
		}
	}
	return g
}

// place returns the index of a group's numbers in the states of its weight.
func (q *Quantizer) place(g Group) int { return g.first / q.groupSize(g.weight) }

// allZero returns the error that a group is zero and so has no scale.
func (q *Quantizer) allZero(g Group) error {
	name := q.weights[g.weight].Name
	if q.rule.PerRow {
		return fmt.Errorf("latent weight %s is all zero in row %d, so there is no scale for that row: check how the model initialises it, or take one scale for the matrix", name, g.first/g.Cols)
	}
	return fmt.Errorf("latent weight %s is all zero, so there is no scale for it: check how the model initialises it", name)
}

// notFinite returns an error that names the first latent weight, or second moment, that is not
// finite.
func (q *Quantizer) notFinite() error {
	for _, w := range q.weights {
		for i, value := range w.Latent {
			if !finite(value) {
				return fmt.Errorf("latent weight %s[%d] (row %d, column %d) is %v: training has diverged, lower the learning rate or clip the gradient",
					w.Name, i, i/w.Cols, i%w.Cols, value)
			}
			if q.rule.Moments && !finite(w.Moment2[i]) {
				return fmt.Errorf("the second moment of %s[%d] (row %d, column %d) is %v: its gradient has diverged, lower the learning rate or clip the gradient",
					w.Name, i, i/w.Cols, i%w.Cols, w.Moment2[i])
			}
		}
	}
	return errors.New("a latent weight changed while it was being quantized: call Quantize only between updates")
}

func (q *Quantizer) ready(ctx context.Context) error {
	if q.rule.Kernel == nil && q.rule.Planes == nil {
		return fmt.Errorf("quantizer %s has no weights: call Open first", q.description.Name)
	}
	return ctx.Err()
}

func (q *Quantizer) resolve(options plugins.Values) (Rule, error) {
	values, err := plugins.Resolve("quantizer "+q.description.Name, q.description.Options, options)
	if err != nil {
		return Rule{}, err
	}
	return q.choose(values), nil
}

func checkShapes(shapes []quantizer.Shape) error {
	names := make(map[string]bool, len(shapes))
	for _, shape := range shapes {
		if shape.Rows < 1 || shape.Cols < 1 {
			return fmt.Errorf("weight %q is %d×%d: a matrix needs at least one row and one column", shape.Name, shape.Rows, shape.Cols)
		}
		if names[shape.Name] {
			return fmt.Errorf("weight %q is listed twice: equal names would draw equal random numbers", shape.Name)
		}
		names[shape.Name] = true
	}
	return nil
}
