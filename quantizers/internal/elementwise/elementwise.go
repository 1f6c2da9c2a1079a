// Package elementwise is what the quantizers share that treat each weight by
// itself with one fixed scale per matrix: they differ in their [Rule] alone.
//
// The gradient passes straight through (the gradient with respect to the
// quantized weight is applied to the latent one), so there is no Backward, and
// the scale is a function of the shape, so there is no state.
package elementwise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"bittern/plugins"
	"bittern/plugins/quantizer"
	"bittern/quantizers/internal/random"
)

// Rule is what makes one quantizer differ from another.
type Rule struct {
	Kernel Kernel
	// Levels are the codebook as multiples of α, ascending; none means that
	// the weights stay at full precision.
	Levels []float32
	// Clip keeps the latent weights within [−α, α] after each update.
	//
	// The text of arXiv 1809.11086 clips probabilities, never the latent weights;
	// nor does its code, whose character models clip the step of an update of
	// binary weights to [−α, α]. Adam's steps are at most 3.2 learning rates long
	// (Kingma & Ba, ICLR 2015, section 2.1, at β₁ = 0.9, β₂ = 0.999), less than α at
	// those models' sizes and rates, so that clip never acts and is left out.
	Clip bool
}

// Binary and Ternary are the codebooks as multiples of α.
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

// Sampling is the option that chooses between random and deterministic weights.
const (
	Sampling      = "sampling"
	Stochastic    = "stochastic"
	Deterministic = "deterministic"
)

// SamplingOption is the option [Sampling] with the given default.
func SamplingOption(standard, doc string) plugins.Option {
	return plugins.Option{
		Name: Sampling, Type: plugins.String, Default: standard,
		Choices: []string{Stochastic, Deterministic}, Doc: doc,
	}
}

// Quantizer is a [quantizer.Quantizer] made of a rule.
type Quantizer struct {
	description plugins.Description
	choose      func(plugins.Values) Rule

	rule    Rule
	weights []quantizer.Weight
	chunks  []chunk
}

var _ quantizer.Quantizer = (*Quantizer)(nil)

// chunk is a part of a weight that one goroutine treats at a time.
type chunk struct{ weight, from, to int }

// chunkSize is in elements: small enough to even out the work over cores and
// to stay in a first-level cache, and even as kernels ask.
const chunkSize = 1 << 13

// New makes a quantizer that describes itself so and, once opened with some
// options, works by the rule that choose returns for them.
func New(description plugins.Description, choose func(plugins.Values) Rule) *Quantizer {
	description.Kind = plugins.KindQuantizer
	description.API = plugins.APIVersion
	return &Quantizer{description: description, choose: choose}
}

// Describe implements [quantizer.Quantizer].
func (q *Quantizer) Describe(ctx context.Context) (plugins.Description, error) {
	return q.description, ctx.Err()
}

// Plan implements [quantizer.Quantizer]: there is no state.
func (q *Quantizer) Plan(ctx context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := q.resolve(options); err != nil {
		return nil, err
	}
	return nil, checkShapes(weights)
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
		if len(w.Latent) != n || len(w.Quantized) != n {
			return fmt.Errorf("weight %s is %d×%d and has %d latent and %d quantized elements",
				w.Name, w.Rows, w.Cols, len(w.Latent), len(w.Quantized))
		}
		for from := 0; from < n; from += chunkSize {
			chunks = append(chunks, chunk{i, from, min(from+chunkSize, n)})
		}
	}
	q.rule, q.weights, q.chunks = rule, slices.Clone(weights), chunks
	return nil
}

// Quantize implements [quantizer.Quantizer]. A latent weight that is not
// finite is an error that names it.
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
	targets := make([][]float32, len(q.weights))
	for i, w := range q.weights {
		targets[i] = make([]float32, len(w.Latent))
	}
	if err := q.draw(ctx, draw, targets); err != nil {
		return nil, err
	}
	frozen := make([]quantizer.Frozen, len(q.weights))
	for i, w := range q.weights {
		frozen[i] = q.freeze(w.Shape, targets[i])
	}
	return frozen, nil
}

func (q *Quantizer) freeze(shape quantizer.Shape, values []float32) quantizer.Frozen {
	if len(q.rule.Levels) == 0 {
		return quantizer.Frozen{Name: shape.Name, Values: values}
	}
	alpha := Alpha(shape.Rows, shape.Cols)
	levels := make([]float32, len(q.rule.Levels)) // as Quantize writes them
	for code, multiple := range q.rule.Levels {
		levels[code] = multiple * alpha
	}
	codes := make([]uint16, len(values))
	for i, value := range values {
		codes[i] = uint16(slices.Index(levels, value))
	}
	return quantizer.Frozen{Name: shape.Name, Planes: []quantizer.Plane{{
		Bits: bits.Len(uint(len(levels) - 1)), Codes: codes, Levels: q.rule.Levels, Scales: []float32{alpha},
	}}}
}

// Project implements [quantizer.Quantizer]: it clips the latent weights to
// [−α, α] where the rule asks for it.
func (q *Quantizer) Project(ctx context.Context) error {
	if err := q.ready(ctx); err != nil || !q.rule.Clip {
		return err
	}
	q.each(func(part chunk) {
		w := q.weights[part.weight]
		alpha := Alpha(w.Rows, w.Cols)
		latent := w.Latent[part.from:part.to]
		for i, value := range latent {
			if value > alpha {
				latent[i] = alpha
			} else if value < -alpha {
				latent[i] = -alpha
			}
		}
	})
	return nil
}

// Initialise implements [quantizer.Quantizer]: there is no state.
func (q *Quantizer) Initialise(ctx context.Context) error { return q.ready(ctx) }

// Backward implements [quantizer.Quantizer]: the gradient passes straight
// through, and no description claims the trait.
func (q *Quantizer) Backward(ctx context.Context, _ quantizer.Backward) error { return q.ready(ctx) }

// draw writes one draw of every weight to its target.
func (q *Quantizer) draw(ctx context.Context, draw quantizer.Draw, targets [][]float32) error {
	if err := q.ready(ctx); err != nil {
		return err
	}
	streams := make([]random.Stream, len(q.weights))
	for i, w := range q.weights {
		streams[i] = random.NewStream(draw.Seed, draw.Step, w.Name)
	}
	var failed atomic.Bool
	q.each(func(part chunk) {
		w := q.weights[part.weight]
		if !q.rule.Kernel(targets[part.weight][part.from:part.to], w.Latent[part.from:part.to],
			Alpha(w.Rows, w.Cols), streams[part.weight], part.from) {
			failed.Store(true)
		}
	})
	if failed.Load() {
		return q.notFinite()
	}
	return nil
}

// each calls work for every chunk, on as many goroutines as may run at once.
func (q *Quantizer) each(work func(chunk)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(q.chunks)) {
		running.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(q.chunks) {
					return
				}
				work(q.chunks[i])
			}
		})
	}
	running.Wait()
}

// notFinite names the first latent weight that is not a number.
func (q *Quantizer) notFinite() error {
	for _, w := range q.weights {
		for i, value := range w.Latent {
			if overflow(math.Float32bits(value)) >= signBit {
				return fmt.Errorf("latent weight %s[%d] (row %d, column %d) is %v: training has diverged, lower the learning rate or clip the gradient",
					w.Name, i, i/w.Cols, i%w.Cols, value)
			}
		}
	}
	return errors.New("a latent weight changed while it was being quantized: call Quantize only between updates")
}

func (q *Quantizer) ready(ctx context.Context) error {
	if q.rule.Kernel == nil {
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
