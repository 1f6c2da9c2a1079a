package wire

import (
	"fmt"

	"bittern/internal/arena"
	networkv1 "bittern/internal/wire/bittern/network/v1"
	pluginv1 "bittern/internal/wire/bittern/plugin/v1"
	"bittern/plugins/network"
)

// EncodeNetwork returns the wire form of a program. It copies the tables of its step graphs into
// the arena.
func EncodeNetwork(a *arena.Arena, n network.Network) (*networkv1.Network, error) {
	m := &networkv1.Network{Model: n.Model, Inputs: encodeInputs(n.Inputs), Output: n.Output}
	for _, s := range n.Stages {
		graph, err := encodeGraph(a, s.Graph)
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", s.Name, err)
		}
		m.Stages = append(m.Stages, &networkv1.Stage{
			Name: s.Name, Op: string(s.Op), Inputs: s.Inputs, Graph: graph, Reverse: s.Reverse, Last: s.Last,
		})
	}
	return m, nil
}

// DecodeNetwork is the inverse of EncodeNetwork. The network owns its tables.
func DecodeNetwork(reader *arena.Reader, m *networkv1.Network) (network.Network, error) {
	n := network.Network{Model: m.GetModel(), Inputs: decodeInputs(m.GetInputs()), Output: m.GetOutput()}
	for _, s := range m.GetStages() {
		graph, err := decodeGraph(reader, s.GetGraph())
		if err != nil {
			return network.Network{}, fmt.Errorf("stage %s: %w", s.GetName(), err)
		}
		n.Stages = append(n.Stages, network.Stage{
			Name: s.GetName(), Op: network.Op(s.GetOp()), Inputs: s.GetInputs(), Graph: graph, Reverse: s.GetReverse(), Last: s.GetLast(),
		})
	}
	return n, nil
}

func encodeInputs(inputs []network.Input) []*networkv1.Input {
	var m []*networkv1.Input
	for _, in := range inputs {
		m = append(m, &networkv1.Input{Name: in.Name, Role: string(in.Role), Stream: in.Stream, Size: int64(in.Size)})
	}
	return m
}

func decodeInputs(m []*networkv1.Input) []network.Input {
	var inputs []network.Input
	for _, in := range m {
		inputs = append(inputs, network.Input{Name: in.GetName(), Role: network.Role(in.GetRole()), Stream: in.GetStream(), Size: int(in.GetSize())})
	}
	return inputs
}

// EncodeShape returns the wire form of a shape.
func EncodeShape(s network.Shape) *networkv1.Shape {
	return &networkv1.Shape{
		Inputs: encodeInputs(s.Inputs), Steps: EncodeSteps(s.Steps), Sequences: int64(s.Sequences),
		Classes: int64(s.Classes), Targets: s.Targets, Carried: s.Carried,
	}
}

// DecodeShape is the inverse of EncodeShape. The peer may send anything, so callers must call
// [network.Shape.Check].
func DecodeShape(m *networkv1.Shape) network.Shape {
	return network.Shape{
		Inputs: decodeInputs(m.GetInputs()), Steps: DecodeSteps(m.GetSteps()), Sequences: int(m.GetSequences()),
		Classes: int(m.GetClasses()), Targets: m.GetTargets(), Carried: m.GetCarried(),
	}
}

// EncodeSteps returns the wire form of the time steps of streams.
func EncodeSteps(steps map[string]int) map[string]int64 {
	m := make(map[string]int64, len(steps))
	for stream, n := range steps {
		m[stream] = int64(n)
	}
	return m
}

// DecodeSteps is the inverse of EncodeSteps.
func DecodeSteps(m map[string]int64) map[string]int {
	steps := make(map[string]int, len(m))
	for stream, n := range m {
		steps[stream] = int(n)
	}
	return steps
}

// EncodeScore returns the wire form of a score.
func EncodeScore(s network.Score) *networkv1.Score {
	return &networkv1.Score{LossSum: s.LossSum, Count: int64(s.Count), Correct: int64(s.Correct)}
}

// DecodeScore is the inverse of EncodeScore.
func DecodeScore(m *networkv1.Score) network.Score {
	return network.Score{LossSum: m.GetLossSum(), Count: int(m.GetCount()), Correct: int(m.GetCorrect())}
}

// LocateBatch returns the wire form of a batch whose tensors lie in the arena.
func LocateBatch(a *arena.Arena, b network.Batch) (*networkv1.Batch, error) {
	return encodeBatch(b,
		func(values []int32) (*pluginv1.Tensor, error) { return Locate(a, values) },
		func(values []float32) (*pluginv1.Tensor, error) { return Locate(a, values) })
}

// CopyBatch returns the wire form of a batch, whose tensors it copies into the arena.
func CopyBatch(a *arena.Arena, b network.Batch) (*networkv1.Batch, error) {
	return encodeBatch(b,
		func(values []int32) (*pluginv1.Tensor, error) { return Copy(a, values) },
		func(values []float32) (*pluginv1.Tensor, error) { return Copy(a, values) })
}

func encodeBatch(b network.Batch, int32s func([]int32) (*pluginv1.Tensor, error), float32s func([]float32) (*pluginv1.Tensor, error)) (*networkv1.Batch, error) {
	m := &networkv1.Batch{
		Sequences: int64(b.Sequences), Steps: EncodeSteps(b.Steps),
		Inputs: make(map[string]*pluginv1.Tensor, len(b.Int32)+len(b.Float32)),
	}
	var err error
	for name, values := range b.Int32 {
		if m.Inputs[name], err = int32s(values); err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
	}
	for name, values := range b.Float32 {
		if m.Inputs[name], err = float32s(values); err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
	}
	if m.Fresh, err = int32s(b.Fresh); err != nil {
		return nil, fmt.Errorf("%s: %w", network.TensorFresh, err)
	}
	if m.Targets, err = int32s(b.Targets); err != nil {
		return nil, fmt.Errorf("%s: %w", network.TensorTargets, err)
	}
	return m, nil
}

// ViewBatch is the inverse of LocateBatch and CopyBatch; the batch lies in the mapping. The peer
// may send anything, so callers must call [network.Batch.Fits].
func ViewBatch(mapping *arena.Mapping, m *networkv1.Batch) (network.Batch, error) {
	b := network.Batch{
		Sequences: int(m.GetSequences()), Steps: DecodeSteps(m.GetSteps()),
		Int32: map[string][]int32{}, Float32: map[string][]float32{},
	}
	var err error
	for name, tensor := range m.GetInputs() {
		if tensor.GetType() == pluginv1.Type_TYPE_INT32 {
			b.Int32[name], err = View[int32](mapping, tensor)
		} else {
			b.Float32[name], err = View[float32](mapping, tensor)
		}
		if err != nil {
			return network.Batch{}, fmt.Errorf("input %s: %w", name, err)
		}
	}
	if b.Fresh, err = View[int32](mapping, m.GetFresh()); err != nil {
		return network.Batch{}, fmt.Errorf("%s: %w", network.TensorFresh, err)
	}
	if b.Targets, err = View[int32](mapping, m.GetTargets()); err != nil {
		return network.Batch{}, fmt.Errorf("%s: %w", network.TensorTargets, err)
	}
	return b, nil
}
