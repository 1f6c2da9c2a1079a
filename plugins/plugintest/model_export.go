package plugintest

import (
	"maps"
	"math"
	"slices"
	"testing"

	"bittern/plugins/model"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// checkExport sees that the exported graph, run by the reference interpreter,
// computes what the model does with frozen statistics.
func checkExport(t *testing.T, s *modelSession) {
	s.calibrate(t)
	want := s.evaluate(t, model.Evaluate{Statistics: model.Frozen})
	graph, err := s.Export(t.Context())
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	weights := s.deployedWeights(t, graph)
	reference, err := stepgraph.NewReference(graph, weights)
	if err != nil {
		t.Fatalf("the exported graph and the weights it names: %v", err)
	}
	if got := s.referenceLoss(t, reference); math.Abs(got-want.LossSum) > 1e-3*math.Abs(want.LossSum) {
		t.Errorf("the exported graph's loss sums to %v, want %v as Evaluate(Frozen) says", got, want.LossSum)
	}
	recurrent := slices.ContainsFunc(graph.Nodes, func(n stepgraph.Node) bool { return n.Recurrent })
	if !recurrent {
		t.Errorf("no node of the graph is marked Recurrent: there is nothing to count in the recurrent memory column")
	}
}

// deployedWeights packs, in full precision, the parameters that the graph names.
func (s *modelSession) deployedWeights(t *testing.T, graph stepgraph.Graph) map[string]packed.Matrix {
	t.Helper()
	weights := make(map[string]packed.Matrix)
	for _, node := range graph.Nodes {
		if node.Weight == "" {
			continue
		}
		i := slices.IndexFunc(s.plan.Parameters, func(p model.Parameter) bool { return p.Name == node.Weight })
		if i < 0 {
			names := slices.Sorted(maps.Keys(s.build.Parameters))
			t.Fatalf("node %s wants the weight %q, which is none of the parameters %q", node.Name, node.Weight, names)
		}
		p := s.plan.Parameters[i]
		if len(p.Shape) != 2 {
			t.Fatalf("node %s wants the weight %q of the shape %v, want [outputs, inputs]", node.Name, node.Weight, p.Shape)
		}
		if node.Recurrent != p.Quantize {
			t.Errorf("node %s is marked Recurrent: %t, but its weight %q Quantize: %t", node.Name, node.Recurrent, p.Name, p.Quantize)
		}
		matrix, err := packed.FromValues(s.build.Parameters[p.Name].Value, p.Shape[0], p.Shape[1])
		if err != nil {
			t.Fatalf("pack %s: %v", p.Name, err)
		}
		weights[p.Name] = matrix
	}
	return weights
}

// referenceLoss is the sum over all targets of −ln softmax(logits)[target].
func (s *modelSession) referenceLoss(t *testing.T, reference *stepgraph.Reference) float64 {
	t.Helper()
	task, sum := s.build.Task, 0.0
	targets := s.build.Inputs.Int32["targets"]
	for b := range task.Batch {
		if task.Kind == model.LanguageModel {
			tokens := make([]int32, task.Length)
			for i := range tokens {
				tokens[i] = s.build.Inputs.Int32["inputs"][i*task.Batch+b]
			}
			logits, err := reference.Tokens(tokens)
			if err != nil {
				t.Fatalf("run the exported graph: %v", err)
			}
			for i := range tokens {
				sum += surprise(logits[i*task.OutputSize:(i+1)*task.OutputSize], targets[i*task.Batch+b])
			}
			continue
		}
		var features []float32
		for i := range task.Length {
			row := (i*task.Batch + b) * task.InputSize
			features = append(features, s.build.Inputs.Float32["inputs"][row:row+task.InputSize]...)
		}
		logits, err := reference.Dense(features)
		if err != nil {
			t.Fatalf("run the exported graph: %v", err)
		}
		sum += surprise(logits[(task.Length-1)*task.OutputSize:], targets[b])
	}
	return sum
}

func surprise(logits []float64, target int32) float64 {
	largest, sum := slices.Max(logits), 0.0
	for _, logit := range logits {
		sum += math.Exp(logit - largest)
	}
	return math.Log(sum) + largest - logits[target]
}
