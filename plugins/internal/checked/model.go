package checked

import (
	"context"
	"fmt"
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
	for _, p := range plan.Parameters {
		if err := parameters.add("parameter", p.Name); err != nil {
			return err
		}
		if err := checkShape(p.Shape); err != nil {
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
		if err := checkShape(b.Shape); err != nil {
			return fmt.Errorf("buffer %q: %w", b.Name, err)
		}
	}
	return nil
}

func checkShape(shape []int) error {
	elements := 1
	for _, size := range shape {
		if size < 1 {
			return fmt.Errorf("the shape %v has a size below 1", shape)
		}
		if size > mostElements/elements {
			return fmt.Errorf("the shape %v has more than %d elements", shape, mostElements)
		}
		elements *= size
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
	return c.Model.Build(ctx, request)
}

func (c *checkedModel) Step(ctx context.Context, request model.Step) (model.StepResult, error) {
	result, err := c.Model.Step(ctx, request)
	if err != nil {
		return model.StepResult{}, err
	}
	if !finite(result.Loss) {
		return model.StepResult{}, c.judge.nonsense("Step", "at step %d the loss is %v", request.Number, result.Loss)
	}
	return result, nil
}

func (c *checkedModel) Update(ctx context.Context, request model.Update) (model.UpdateResult, error) {
	result, err := c.Model.Update(ctx, request)
	if err != nil {
		return model.UpdateResult{}, err
	}
	if !finite(result.GradNorm) || result.GradNorm < 0 {
		return model.UpdateResult{}, c.judge.nonsense("Update", "at update %d the norm of the gradients is %v", request.Number, result.GradNorm)
	}
	return result, nil
}

func (c *checkedModel) Evaluate(ctx context.Context, request model.Evaluate) (model.Evaluation, error) {
	e, err := c.Model.Evaluate(ctx, request)
	if err != nil {
		return model.Evaluation{}, err
	}
	if !finite(e.LossSum) || e.Count < 1 || e.Count > c.targets || e.Correct < 0 || e.Correct > e.Count {
		return model.Evaluation{}, c.judge.nonsense("Evaluate", "the loss sums to %v over %d targets, %d of them correct, where a batch has %d", e.LossSum, e.Count, e.Correct, c.targets)
	}
	return e, nil
}

func (c *checkedModel) Export(ctx context.Context) (stepgraph.Graph, error) {
	graph, err := c.Model.Export(ctx)
	if err != nil {
		return stepgraph.Graph{}, err
	}
	// Whether the graph fits the weights shows once there are weights.
	if !slices.ContainsFunc(graph.Nodes, func(n stepgraph.Node) bool { return n.Name == graph.Output }) {
		return stepgraph.Graph{}, c.judge.nonsense("Export", "the output %q is no node of the step graph", graph.Output)
	}
	return graph, nil
}
