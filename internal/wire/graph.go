package wire

import (
	"fmt"

	"bittern/internal/arena"
	stepgraphv1 "bittern/internal/wire/bittern/stepgraph/v1"
	"bittern/plugins/stepgraph"
)

// encodeGraph returns the wire form of a step graph. It copies the tables into the arena.
func encodeGraph(a *arena.Arena, g stepgraph.Graph) (*stepgraphv1.Graph, error) {
	m := &stepgraphv1.Graph{Output: g.Output}
	for _, in := range g.Inputs {
		m.Inputs = append(m.Inputs, &stepgraphv1.Input{Name: in.Name, Token: in.Token, Size: int64(in.Size)})
	}
	for _, s := range g.States {
		init, err := Copy(a, s.Init)
		if err != nil {
			return nil, fmt.Errorf("state %s: %w", s.Name, err)
		}
		m.States = append(m.States, &stepgraphv1.State{Name: s.Name, Size: int64(s.Size), Init: init, Next: s.Next})
	}
	for _, n := range g.Nodes {
		scale, err := encodeTable(a, n.Scale)
		if err != nil {
			return nil, fmt.Errorf("scale of node %s: %w", n.Name, err)
		}
		shift, err := encodeTable(a, n.Shift)
		if err != nil {
			return nil, fmt.Errorf("shift of node %s: %w", n.Name, err)
		}
		m.Nodes = append(m.Nodes, &stepgraphv1.Node{
			Name: n.Name, Op: string(n.Op), Inputs: n.Inputs, Size: int64(n.Size), Weight: n.Weight,
			Recurrent: n.Recurrent, Offset: int64(n.Offset), Epsilon: n.Epsilon, Bits: int64(n.Bits), Scale: scale, Shift: shift,
		})
	}
	return m, nil
}

// decodeGraph is the inverse of encodeGraph. The graph owns its tables.
func decodeGraph(reader *arena.Reader, m *stepgraphv1.Graph) (stepgraph.Graph, error) {
	g := stepgraph.Graph{Output: m.GetOutput()}
	for _, in := range m.GetInputs() {
		g.Inputs = append(g.Inputs, stepgraph.Input{Name: in.GetName(), Token: in.GetToken(), Size: int(in.GetSize())})
	}
	for _, s := range m.GetStates() {
		init, err := Read[float32](reader, s.GetInit())
		if err != nil {
			return stepgraph.Graph{}, fmt.Errorf("state %s: %w", s.GetName(), err)
		}
		g.States = append(g.States, stepgraph.State{Name: s.GetName(), Size: int(s.GetSize()), Init: init, Next: s.GetNext()})
	}
	for _, n := range m.GetNodes() {
		scale, err := decodeTable(reader, n.GetScale())
		if err != nil {
			return stepgraph.Graph{}, fmt.Errorf("scale of node %s: %w", n.GetName(), err)
		}
		shift, err := decodeTable(reader, n.GetShift())
		if err != nil {
			return stepgraph.Graph{}, fmt.Errorf("shift of node %s: %w", n.GetName(), err)
		}
		g.Nodes = append(g.Nodes, stepgraph.Node{
			Name: n.GetName(), Op: stepgraph.Op(n.GetOp()), Inputs: n.GetInputs(), Size: int(n.GetSize()), Weight: n.GetWeight(),
			Recurrent: n.GetRecurrent(), Offset: int(n.GetOffset()), Epsilon: n.GetEpsilon(), Bits: int(n.GetBits()), Scale: scale, Shift: shift,
		})
	}
	return g, nil
}

func encodeTable(a *arena.Arena, t stepgraph.Table) (*stepgraphv1.Table, error) {
	values, err := Copy(a, t.Values)
	if err != nil {
		return nil, err
	}
	return &stepgraphv1.Table{Rows: int64(t.Rows), Values: values}, nil
}

func decodeTable(reader *arena.Reader, m *stepgraphv1.Table) (stepgraph.Table, error) {
	values, err := Read[float32](reader, m.GetValues())
	return stepgraph.Table{Rows: int(m.GetRows()), Values: values}, err
}
