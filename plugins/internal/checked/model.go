package checked

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"bittern/plugins"
	"bittern/plugins/model"
	"bittern/plugins/stepgraph"
)

// Model wraps a model.
func Model(next model.Model, judge Judge) model.Model {
	return &checkedModel{Model: next, judge: judge}
}

type checkedModel struct {
	model.Model
	judge   Judge
	targets int // of a whole batch
	values  map[string]model.Tensors
}

func (c *checkedModel) Plan(ctx context.Context, options plugins.Values, task model.Task) (model.Plan, error) {
	resolved, err := c.judge.resolve(options)
	if err != nil {
		return model.Plan{}, err
	}
	plan, err := c.Model.Plan(ctx, resolved, task)
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
	return nil
}

func (c *checkedModel) Build(ctx context.Context, request model.Build) error {
	resolved, err := c.judge.resolve(request.Options)
	if err != nil {
		return err
	}
	request.Options = resolved
	c.targets = request.Task.Batch
	if request.Task.Kind == model.LanguageModel {
		c.targets *= request.Task.Length
	}
	c.values = request.Parameters
	if err := c.Model.Build(ctx, request); err != nil {
		return err
	}
	return c.finiteValues("Build")
}

// Update writes every value, and each is looked at: what a quantizer makes of it
// next must not be taken for the quantizer's doing.
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

func (c *checkedModel) Evaluate(ctx context.Context, request model.Evaluate) (model.Evaluation, error) {
	e, err := c.Model.Evaluate(ctx, request)
	if err != nil {
		return model.Evaluation{}, err
	}
	if !bounded(e.LossSum) || e.Count < 1 || e.Count > c.targets || e.Correct < 0 || e.Correct > e.Count {
		return model.Evaluation{}, c.judge.nonsense("Evaluate", "the loss sums to %v over %d targets, %d of them correct, where a batch has %d", e.LossSum, e.Count, e.Correct, c.targets)
	}
	return e, nil
}

func (c *checkedModel) Export(ctx context.Context) (stepgraph.Graph, error) {
	graph, err := c.Model.Export(ctx)
	if err != nil {
		return stepgraph.Graph{}, c.judge.blame("Export", err)
	}
	if err := checkGraph(graph); err != nil {
		return stepgraph.Graph{}, c.judge.nonsense("Export", "%s", err)
	}
	if !slices.ContainsFunc(graph.Nodes, func(n stepgraph.Node) bool { return n.Name == graph.Output }) {
		return stepgraph.Graph{}, c.judge.nonsense("Export", "the output %q is no node of the step graph", graph.Output)
	}
	return graph, nil
}

// checkGraph refuses names that cannot be shown. What else a graph must be shows
// once there are weights (see [stepgraph.Graph.Validate]).
func checkGraph(g stepgraph.Graph) error {
	shown := []string{g.Model, g.Input.Name, g.Output}
	for _, s := range g.States {
		shown = append(shown, s.Name)
	}
	for _, n := range g.Nodes {
		shown = append(shown, n.Name, string(n.Op))
	}
	for _, name := range shown {
		if line := plugins.Line(name); line != name {
			return fmt.Errorf("a name in the step graph is no short line of text: %s", line)
		}
	}
	return nil
}
