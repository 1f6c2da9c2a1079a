package recurrent

import (
	"errors"
	"fmt"

	"bittern/accel/kernels/flush"
	"bittern/accel/kernels/team"
	"bittern/accel/kernels/vecmath"
)

// AttentionConfig is the shape of an attention over a text.
type AttentionConfig struct {
	Steps, Batch int // of the text
	Features     int // of a step of the text, and of the question
	Units        int // of m and g
}

// Parameters lists the operator's parameters in the order that package graph
// takes them. All stay in full precision.
func (c AttentionConfig) Parameters() []Tensor {
	return []Tensor{
		{"Wym", []int{c.Units, c.Features}, false}, {"Wum", []int{c.Units, c.Features}, false}, {"wms", []int{1, c.Units}, false},
		{"Wrg", []int{c.Units, c.Features}, false}, {"Wug", []int{c.Units, c.Features}, false},
	}
}

// AttentionWeights are the parameters of an attention, or the gradients with respect to
// them, row-major.
type AttentionWeights struct {
	Wym, Wum, Wms, Wrg, Wug []float32
}

// Field returns where the parameter of a name is kept; nil if there is none.
func (w *AttentionWeights) Field(name string) *[]float32 {
	switch name {
	case "Wym":
		return &w.Wym
	case "Wum":
		return &w.Wum
	case "wms":
		return &w.Wms
	case "Wrg":
		return &w.Wrg
	case "Wug":
		return &w.Wug
	}
	return nil
}

func (w *AttentionWeights) check(c AttentionConfig) error {
	return errors.Join(
		mismatch("attention", "Wym", len(w.Wym), c.Units, c.Features),
		mismatch("attention", "Wum", len(w.Wum), c.Units, c.Features),
		mismatch("attention", "wms", len(w.Wms), 1, c.Units),
		mismatch("attention", "Wrg", len(w.Wrg), c.Units, c.Features),
		mismatch("attention", "Wug", len(w.Wug), c.Units, c.Features))
}

// Attention looks for a question u in a text y, as the Attentive Reader does
// (Hermann et al., "Teaching Machines to Read and Comprehend", NIPS 2015, section
// 3.3):
//
//	m(t) = tanh(Wym·y(t) + Wum·u)     s(t) ∝ exp(wms·m(t)) over the steps of a sequence
//	r = Σ s(t)·y(t)                   g = tanh(Wrg·r + Wug·u)
type Attention struct {
	// BFloat16 has the products of the next Forward and its Backward round as those of [Pass].
	BFloat16 bool

	config AttentionConfig
	team   *team.Team
	multipliers
	scales  attentionScales
	longest int // steps of the longest sequence of the batch

	m          []float32 // then its gradient, [Steps × Batch × Units]
	um         []float32 // Wum·u, then its gradient, [Batch × Units]
	s          []float32 // [Batch × Steps]
	ds         []float32 // [Batch × Steps]
	r, dr      []float32 // [Batch × Features]
	g, dg      []float32 // [Batch × Units]
	dWms       []float32 // of each sequence, [Batch × Units]
	ahead      func(worker int)
	activate   func(worker int)
	back       func(worker int)
	deactivate func(worker int)

	// The arguments of the pass that is running.
	weights, gradients AttentionWeights
	y, u, dY, gradient []float32
	lengths            []int32
}

// NewAttention returns an operator that runs on t.
func NewAttention(t *team.Team, config AttentionConfig) *Attention {
	c := config
	a := &Attention{
		config: c, team: t, multipliers: newMultipliers(t), scales: newAttentionScales(c),
		m: make([]float32, c.Steps*c.Batch*c.Units), um: make([]float32, c.Batch*c.Units),
		s: make([]float32, c.Batch*c.Steps), ds: make([]float32, c.Batch*c.Steps),
		r: make([]float32, c.Batch*c.Features), dr: make([]float32, c.Batch*c.Features),
		g: make([]float32, c.Batch*c.Units), dg: make([]float32, c.Batch*c.Units),
		dWms: make([]float32, c.Batch*c.Units),
	}
	a.ahead, a.activate, a.back, a.deactivate = a.attend, a.activateOutput, a.attendBackward, a.outputBackward
	return a
}

// Config returns the shape the operator was made with.
func (a *Attention) Config() AttentionConfig { return a.config }

// Output is g of every sequence, [Batch × Units], which every Forward overwrites.
func (a *Attention) Output() []float32 { return a.g }

// Attended is s of every sequence, [Batch × Steps], 0 beyond its length.
func (a *Attention) Attended() []float32 { return a.s }

// Forward computes g from y [Steps × Batch × Features], of which sequence i has the
// steps before lengths[i], at least one, and u [Batch × Features].
func (a *Attention) Forward(w AttentionWeights, y, u []float32, lengths []int32) error {
	c := a.config
	if err := a.set(w, y, u, lengths); err != nil {
		return err
	}
	if a.BFloat16 {
		a.scales.set(c, w)
	}
	if err := errors.Join(
		a.multiply(a.um, c.Units, false, false, true, c.Batch, c.Units, c.Features, u, c.Features, w.Wum, a.scales.um),
		a.multiply(a.m, c.Units, false, false, true, a.longest*c.Batch, c.Units, c.Features, y, c.Features, w.Wym, a.scales.ym)); err != nil {
		return err
	}
	a.team.Run(a.ahead)
	if err := errors.Join(
		a.multiply(a.g, c.Units, false, false, true, c.Batch, c.Units, c.Features, a.r, c.Features, w.Wrg, a.scales.rg),
		a.multiply(a.g, c.Units, true, false, true, c.Batch, c.Units, c.Features, u, c.Features, w.Wug, a.scales.ug)); err != nil {
		return err
	}
	a.team.Run(a.activate)
	return nil
}

// Backward overwrites dw, dY and dU with the gradients with respect to the weights,
// y and u, given the one with respect to g. It follows a Forward with the same
// arguments, whose memory it uses up.
func (a *Attention) Backward(w AttentionWeights, y, u []float32, lengths []int32, gradient []float32, dw AttentionWeights, dY, dU []float32) error {
	c := a.config
	if err := errors.Join(a.set(w, y, u, lengths), dw.check(c),
		mismatch("attention", "the gradient of the output", len(gradient), c.Batch, c.Units),
		mismatch("attention", "the gradient of the text", len(dY), c.Steps, c.Batch, c.Features),
		mismatch("attention", "the gradient of the question", len(dU), c.Batch, c.Features)); err != nil {
		return err
	}
	a.gradients, a.dY, a.gradient = dw, dY, gradient
	a.team.Run(a.deactivate)
	rows := a.longest * c.Batch
	if err := errors.Join(
		a.multiplier(a.BFloat16).Gemm(dw.Wrg, c.Features, false, true, false, c.Units, c.Features, c.Batch, a.dg, c.Units, a.r, c.Features),
		a.multiplier(a.BFloat16).Gemm(dw.Wug, c.Features, false, true, false, c.Units, c.Features, c.Batch, a.dg, c.Units, u, c.Features),
		a.multiply(a.dr, c.Features, false, false, false, c.Batch, c.Features, c.Units, a.dg, c.Units, w.Wrg, a.scales.rg),
		a.multiply(dU, c.Features, false, false, false, c.Batch, c.Features, c.Units, a.dg, c.Units, w.Wug, a.scales.ug)); err != nil {
		return err
	}
	a.team.Run(a.back)
	clear(dw.Wms)
	for i := range c.Batch {
		vecmath.Add(dw.Wms, a.dWms[i*c.Units:(i+1)*c.Units])
	}
	return errors.Join(
		a.multiplier(a.BFloat16).Gemm(dw.Wum, c.Features, false, true, false, c.Units, c.Features, c.Batch, a.um, c.Units, u, c.Features),
		a.multiply(dU, c.Features, true, false, false, c.Batch, c.Features, c.Units, a.um, c.Units, w.Wum, a.scales.um),
		a.multiplier(a.BFloat16).Gemm(dw.Wym, c.Features, false, true, false, c.Units, c.Features, rows, a.m, c.Units, y, c.Features),
		a.multiply(dY, c.Features, true, false, false, rows, c.Features, c.Units, a.m, c.Units, w.Wym, a.scales.ym))
}

// set checks and keeps the arguments of a pass.
func (a *Attention) set(w AttentionWeights, y, u []float32, lengths []int32) error {
	c := a.config
	if err := errors.Join(w.check(c),
		mismatch("attention", "the text", len(y), c.Steps, c.Batch, c.Features),
		mismatch("attention", "the question", len(u), c.Batch, c.Features),
		mismatch("attention", "the lengths", len(lengths), c.Batch)); err != nil {
		return err
	}
	a.longest = 0
	for i, n := range lengths {
		if n < 1 || int(n) > c.Steps {
			return fmt.Errorf("attention: sequence %d has %d steps; it must have from 1 to %d", i, n, c.Steps)
		}
		a.longest = max(a.longest, int(n))
	}
	a.weights, a.y, a.u, a.lengths = w, y, u, lengths
	return nil
}

func rowOf(data []float32, row, width int) []float32 { return data[row*width:][:width] }

// A worker owns whole sequences, so that what is summed over steps does not
// depend on the size of the team.

func (a *Attention) attend(worker int) {
	c := a.config
	from, to := a.team.Split(worker, c.Batch, 1)
	for i := from; i < to; i++ {
		n := int(a.lengths[i])
		scores, um := rowOf(a.s, i, c.Steps), rowOf(a.um, i, c.Units)
		for t := range n {
			m := rowOf(a.m, t*c.Batch+i, c.Units)
			vecmath.Add(m, um)
			vecmath.Tanh(m, m)
			scores[t] = float32(vecmath.Dot(a.weights.Wms, m))
		}
		vecmath.Softmax(scores[:n], scores[:n])
		clear(scores[n:])
		r := rowOf(a.r, i, c.Features)
		clear(r)
		for t, s := range scores[:n] {
			vecmath.Axpy(r, s, rowOf(a.y, t*c.Batch+i, c.Features))
		}
	}
}

func (a *Attention) activateOutput(worker int) {
	from, to := a.team.Split(worker, len(a.g), grain)
	vecmath.Tanh(a.g[from:to], a.g[from:to])
}

func (a *Attention) outputBackward(worker int) {
	from, to := a.team.Split(worker, len(a.g), grain)
	for j := from; j < to; j++ {
		a.dg[j] = a.gradient[j] * (1 - a.g[j]*a.g[j])
	}
}

func (a *Attention) attendBackward(worker int) {
	c := a.config
	from, to := a.team.Split(worker, c.Batch, 1)
	for i := from; i < to; i++ {
		n := int(a.lengths[i])
		s, ds := rowOf(a.s, i, c.Steps)[:n], rowOf(a.ds, i, c.Steps)[:n]
		dr := rowOf(a.dr, i, c.Features)
		for t := range n {
			row := t*c.Batch + i
			ds[t] = float32(vecmath.Dot(dr, rowOf(a.y, row, c.Features)))
			dY := rowOf(a.dY, row, c.Features)
			clear(dY)
			vecmath.Axpy(dY, s[t], dr)
		}
		mean := float32(vecmath.Dot(s, ds))
		dWms, dUm := rowOf(a.dWms, i, c.Units), rowOf(a.um, i, c.Units)
		clear(dWms)
		clear(dUm)
		for t := range n {
			m := rowOf(a.m, t*c.Batch+i, c.Units)
			de := flush.ToZero(s[t] * (ds[t] - mean)) // of the score
			vecmath.Axpy(dWms, de, m)
			for j, w := range a.weights.Wms {
				m[j] = de * w * (1 - m[j]*m[j])
			}
			vecmath.Add(dUm, m)
		}
		for t := n; t < c.Steps; t++ {
			row := t*c.Batch + i
			clear(rowOf(a.m, row, c.Units))
			clear(rowOf(a.dY, row, c.Features))
		}
	}
}
