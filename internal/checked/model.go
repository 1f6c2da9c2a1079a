package checked

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/network"
)

// Model wraps a model: it fills in default options and checks answers.
func Model(next model.Model, judge Judge) model.Model {
	return &checkedModel{Model: next, judge: judge}
}

type checkedModel struct {
	model.Model
	judge  Judge
	shape  network.Shape
	batch  network.Batch
	values map[string]model.Tensors
}

func (c *checkedModel) Plan(ctx context.Context, options plugins.Values, shape network.Shape) (model.Plan, error) {
	resolved, err := c.judge.resolve(options)
	if err != nil {
		return model.Plan{}, err
	}
	plan, err := c.Model.Plan(ctx, resolved, shape)
	if err != nil {
		return model.Plan{}, err
	}
	if err := checkPlan(plan); err != nil {
		return model.Plan{}, c.judge.nonsense("Plan", "%s", err)
	}
	return plan, nil
}

func checkPlan(plan model.Plan) error {
	if len(plan.Parameters) == 0 {
		return fmt.Errorf("there is no parameter to train")
	}
	parameters, buffers := names{}, names{}
	var asked elements
	for _, p := range plan.Parameters {
		if err := parameters.add("parameter", p.Name); err != nil {
			return err
		}
		if err := asked.add(p.Shape); err != nil {
			return fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		if p.Quantize && len(p.Shape) != 2 {
			return fmt.Errorf("parameter %q has the shape %v, but what is quantized has the shape [outputs, inputs]", p.Name, p.Shape)
		}
	}
	for _, b := range plan.Buffers {
		if err := buffers.add("buffer", b.Name); err != nil {
			return err
		}
		if err := asked.add(b.Shape); err != nil {
			return fmt.Errorf("buffer %q: %w", b.Name, err)
		}
	}
	settings := names{}
	for _, s := range plan.Settings {
		if err := settings.add("setting", s.Name); err != nil {
			return err
		}
		if shown := plugins.Line(s.Value); shown != s.Value || shown == "" {
			return fmt.Errorf("the setting %q is no short line of text: %s", s.Name, shown)
		}
	}
	return nil
}

func (c *checkedModel) Build(ctx context.Context, request model.Build) error {
	resolved, err := c.judge.resolve(request.Options)
	if err != nil {
		return err
	}
	request.Options = resolved
	c.shape, c.batch = request.Shape, request.Batch
	c.values = request.Parameters
	if err := c.Model.Build(ctx, request); err != nil {
		return err
	}
	return c.finiteValues("Build")
}

// Update checks every value that the update wrote. Otherwise the quantizer, which reads them
// next, would be blamed for a NaN that the model wrote.
func (c *checkedModel) Update(ctx context.Context, request model.Update) (model.UpdateResult, error) {
	result, err := c.Model.Update(ctx, request)
	if err != nil {
		return model.UpdateResult{}, err
	}
	if !bounded(result.GradNorm) || result.GradNorm < 0 {
		return model.UpdateResult{}, c.judge.nonsense("Update", "at update %d the norm of the gradients is %v", request.Number, result.GradNorm)
	}
	return result, c.finiteValues("Update")
}

func (c *checkedModel) finiteValues(call string) error {
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		values := c.values[name].Value
		if i := notFinite(values); i >= 0 {
			return c.judge.nonsense(call, "element %d of the parameter %s is %v", i, name, values[i])
		}
	}
	return nil
}

func (c *checkedModel) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	result, err := c.Model.Step(ctx, request)
	if err != nil {
		return model.StepResult{}, err
	}
	if !bounded(result.Loss) {
		return model.StepResult{}, c.judge.nonsense("Step", "at step %d the loss is %v", request.Number, result.Loss)
	}
	return result, nil
}

func (c *checkedModel) Evaluate(ctx context.Context, request model.Evaluate) (network.Score, error) {
	score, err := c.Model.Evaluate(ctx, request)
	if err != nil {
		return network.Score{}, err
	}
	if err := checkScore(score, c.batch); err != nil {
		return network.Score{}, c.judge.nonsense("Evaluate", "%s", err)
	}
	return score, nil
}

func (c *checkedModel) Export(ctx context.Context) (network.Network, error) {
	exported, err := c.Model.Export(ctx)
	if err != nil {
		return network.Network{}, c.judge.blame("Export", err)
	}
	if err := checkNames(exported); err != nil {
		return network.Network{}, c.judge.nonsense("Export", "%s", err)
	}
	if err := exported.Serves(c.shape); err != nil {
		return network.Network{}, c.judge.nonsense("Export", "%s", err)
	}
	return exported, nil
}

// checkNames returns an error if a name in the network is not one line of printable text. The
// rest of the network is checked when there are weights (see [network.Network.Validate]).
func checkNames(n network.Network) error {
	shown := []string{n.Model, n.Output}
	for _, in := range n.Inputs {
		shown = append(shown, in.Name, string(in.Role), in.Stream)
	}
	for _, s := range n.Stages {
		shown = append(shown, s.Name, string(s.Op), s.Graph.Output)
		shown = append(shown, s.Inputs...)
		for _, in := range s.Graph.Inputs {
			shown = append(shown, in.Name)
		}
		for _, state := range s.Graph.States {
			shown = append(shown, state.Name, state.Next)
		}
		for _, node := range s.Graph.Nodes {
			shown = append(shown, node.Name, string(node.Op), node.Weight)
			shown = append(shown, node.Inputs...)
		}
	}
	for _, name := range shown {
		if line := plugins.Line(name); line != name {
			return fmt.Errorf("a name in the network is no short line of text: %s", line)
		}
	}
	return nil
}
