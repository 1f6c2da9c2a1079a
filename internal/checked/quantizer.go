package checked

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"bittern/plugins"
	"bittern/plugins/quantizer"
)

// Quantizer wraps a quantizer: it fills in default options and checks answers.
func Quantizer(next quantizer.Quantizer, judge Judge) quantizer.Quantizer {
	return &checkedQuantizer{Quantizer: next, judge: judge}
}

type checkedQuantizer struct {
	quantizer.Quantizer
	judge   Judge
	weights []quantizer.Weight
}

func (c *checkedQuantizer) Plan(ctx context.Context, options plugins.Values, weights []quantizer.Shape) ([]quantizer.State, error) {
	resolved, err := c.judge.resolve(options)
	if err != nil {
		return nil, err
	}
	states, err := c.Quantizer.Plan(ctx, resolved, weights)
	if err != nil {
		return nil, err
	}
	if err := checkStates(states, weights); err != nil {
		return nil, c.judge.nonsense("Plan", "%s", err)
	}
	for _, s := range states {
		if s.Trained && !slices.Contains(c.judge.Traits, quantizer.TraitBackward) {
			return nil, c.judge.nonsense("Plan", "the state %q of the weight %q is trained, and nothing fills its gradient without the trait %q", s.Name, s.Weight, quantizer.TraitBackward)
		}
	}
	return states, nil
}

func checkStates(states []quantizer.State, weights []quantizer.Shape) error {
	taken := make(map[string]names)
	var asked elements
	for _, w := range weights {
		taken[w.Name] = names{}
	}
	for _, s := range states {
		of, ok := taken[s.Weight]
		if !ok {
			return fmt.Errorf("the state %q is for the weight %q, which is none of those given", s.Name, s.Weight)
		}
		if err := of.add("state", s.Name); err != nil {
			return fmt.Errorf("weight %q: %w", s.Weight, err)
		}
		if err := asked.add(s.Shape); err != nil {
			return fmt.Errorf("the state %q of the weight %q: %w", s.Name, s.Weight, err)
		}
	}
	return nil
}

func (c *checkedQuantizer) Open(ctx context.Context, options plugins.Values, weights []quantizer.Weight) error {
	resolved, err := c.judge.resolve(options)
	if err != nil {
		return err
	}
	c.weights = weights
	return c.Quantizer.Open(ctx, resolved, weights)
}

func (c *checkedQuantizer) Initialise(ctx context.Context) error {
	if err := c.Quantizer.Initialise(ctx); err != nil {
		return err
	}
	return c.finiteKept("Initialise")
}

func (c *checkedQuantizer) Quantize(ctx context.Context, draw quantizer.Draw) error {
	if err := c.Quantizer.Quantize(ctx, draw); err != nil {
		return err
	}
	for _, w := range c.weights {
		if i := notFinite(w.Quantized); i >= 0 {
			return c.judge.nonsense("Quantize", "%s at row %d, column %d is %v, from the latent %v", w.Name, i/w.Cols, i%w.Cols, w.Quantized[i], w.Latent[i])
		}
	}
	return c.finiteKept("Quantize")
}

// finiteKept checks the values that stay from step to step: latent weights and states. It runs
// after each call that may write them (Project, say), and after those that must not and might
// all the same (Quantize, Freeze). It takes 0.15 ns an element, less than 0.2 % of a training
// step at the paper's sizes.
func (c *checkedQuantizer) finiteKept(call string) error {
	for _, w := range c.weights {
		if i := notFinite(w.Latent); i >= 0 {
			return c.judge.nonsense(call, "the latent weight %s at row %d, column %d is %v", w.Name, i/w.Cols, i%w.Cols, w.Latent[i])
		}
	}
	return c.finiteStates(call)
}

func (c *checkedQuantizer) finiteStates(call string) error {
	for _, w := range c.weights {
		for _, name := range slices.Sorted(maps.Keys(w.State)) {
			values := w.State[name].Value
			if i := notFinite(values); i >= 0 {
				return c.judge.nonsense(call, "element %d of the state %s of %s is %v", i, name, w.Name, values[i])
			}
		}
	}
	return nil
}

func (c *checkedQuantizer) Project(ctx context.Context) error {
	if err := c.Quantizer.Project(ctx); err != nil {
		return err
	}
	return c.finiteKept("Project")
}

func (c *checkedQuantizer) Backward(ctx context.Context, request quantizer.Backward) error {
	// An element that the quantizer forgets to write stays NaN.
	for _, w := range c.weights {
		for _, state := range w.State {
			for i := range state.Grad {
				state.Grad[i] = float32(math.NaN())
			}
		}
	}
	if err := c.Quantizer.Backward(ctx, request); err != nil {
		return err
	}
	for _, w := range c.weights {
		if i := notFinite(w.Grad); i >= 0 {
			return c.judge.nonsense("Backward", "the gradient of %s at row %d, column %d is %v", w.Name, i/w.Cols, i%w.Cols, w.Grad[i])
		}
		for _, name := range slices.Sorted(maps.Keys(w.State)) {
			grad := w.State[name].Grad
			if i := notFinite(grad); i >= 0 {
				return c.judge.nonsense("Backward", "element %d of the gradient of the state %s of %s is %v; Backward has to write every one", i, name, w.Name, grad[i])
			}
		}
	}
	return c.finiteStates("Backward")
}

func (c *checkedQuantizer) Freeze(ctx context.Context, draw quantizer.Draw) ([]quantizer.Frozen, error) {
	frozen, err := c.Quantizer.Freeze(ctx, draw)
	if err != nil {
		return nil, c.judge.blame("Freeze", err)
	}
	if err := checkFrozen(frozen, c.weights); err != nil {
		return nil, c.judge.nonsense("Freeze", "%s", err)
	}
	return frozen, c.finiteKept("Freeze")
}

// checkFrozen returns an error if the frozen weights do not belong to the weights, one to one
// and in their order, or cannot be packed.
func checkFrozen(frozen []quantizer.Frozen, weights []quantizer.Weight) error {
	if len(frozen) != len(weights) {
		return fmt.Errorf("%d frozen weights for %d weights", len(frozen), len(weights))
	}
	for i, f := range frozen {
		w := weights[i]
		if f.Name != w.Name {
			return fmt.Errorf("the frozen weight %d is %q, not %q", i, f.Name, w.Name)
		}
		if _, err := f.Pack(w.Rows, w.Cols); err != nil {
			return fmt.Errorf("weight %q: %w", w.Name, err)
		}
	}
	return nil
}
