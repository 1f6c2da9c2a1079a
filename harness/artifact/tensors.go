package artifact

import (
	"fmt"
	"slices"
	"strings"

	"bittern/harness/checkpoint"
	"bittern/plugins/network"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Form is how weights with codes stand among the tensors of a network. Weights of full
// precision are their values in every form.
type Form int

// The forms.
const (
	PackedCodes Form = iota // rows of packed bytes, as an artifact has them
	PlainCodes              // an element for each code, U8 or of more than 8 bits U16 [rows, cols]
	Values                  // what the codes stand for, F32 [rows, cols]
)

// Tensors are all numbers of the network, under the names of the package documentation and
// ordered by them.
func (n Network) Tensors(form Form) []checkpoint.Tensor {
	var tensors []checkpoint.Tensor
	for name, m := range n.Weights {
		tensors = append(tensors, weightTensors(name, m, form)...)
	}
	for _, stage := range n.Program.Stages {
		for _, node := range stage.Graph.Nodes {
			for kind, table := range tables(&node) {
				if table.Rows > 0 {
					tensors = append(tensors, checkpoint.Tensor{Name: tableName(stage.Name, node.Name, kind), Shape: []int{table.Rows, node.Size}, Float32: table.Values})
				}
			}
		}
		for _, state := range stage.Graph.States {
			tensors = append(tensors, checkpoint.Tensor{Name: stateName(stage.Name, state.Name), Shape: []int{state.Size}, Float32: state.Init})
		}
	}
	slices.SortFunc(tensors, func(a, b checkpoint.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return tensors
}

// Outline is the program without its numbers, which Tensors has.
func (n Network) Outline() network.Network {
	outline := n.Program
	outline.Stages = slices.Clone(outline.Stages)
	for i := range outline.Stages {
		g := &outline.Stages[i].Graph
		g.Nodes, g.States = slices.Clone(g.Nodes), slices.Clone(g.States)
		for j := range g.Nodes {
			for _, table := range tables(&g.Nodes[j]) {
				table.Values = nil
			}
		}
		for j := range g.States {
			g.States[j].Init = nil
		}
	}
	return outline
}

func tables(n *stepgraph.Node) map[string]*stepgraph.Table {
	return map[string]*stepgraph.Table{"scale": &n.Scale, "shift": &n.Shift}
}

// escape keeps the names of a stage and of what is in it apart.
var escape = strings.NewReplacer("%", "%25", "/", "%2F")

func tableName(stage, node, kind string) string {
	return "table/" + escape.Replace(stage) + "/" + escape.Replace(node) + "/" + kind
}

func stateName(stage, state string) string {
	return "state/" + escape.Replace(stage) + "/" + escape.Replace(state)
}

func weightName(weight, kind string) string { return "weight/" + weight + "/" + kind }

func planeName(weight, kind string, plane int) string {
	return weightName(weight, fmt.Sprintf("%s/%d", kind, plane))
}

func weightTensors(name string, m packed.Matrix, form Form) []checkpoint.Tensor {
	if len(m.Planes) == 0 || form == Values {
		return []checkpoint.Tensor{{Name: weightName(name, "values"), Shape: []int{m.Rows, m.Cols}, Float32: m.Decode()}}
	}
	var tensors []checkpoint.Tensor
	for i, p := range m.Planes {
		tensors = append(tensors,
			codes(planeName(name, "codes", i), m, i, form),
			checkpoint.Tensor{Name: planeName(name, "levels", i), Shape: []int{len(p.Levels)}, Float32: p.Levels},
			checkpoint.Tensor{Name: planeName(name, "scales", i), Shape: []int{len(p.Scales)}, Float32: p.Scales})
	}
	return tensors
}

func codes(name string, m packed.Matrix, plane int, form Form) checkpoint.Tensor {
	p := m.Planes[plane]
	if form == PackedCodes {
		return checkpoint.Tensor{Name: name, Shape: []int{m.Rows, p.RowBytes(m.Cols)}, Uint8: p.Data}
	}
	t := checkpoint.Tensor{Name: name, Shape: []int{m.Rows, m.Cols}, Uint16: m.Codes(plane)}
	if p.Bits <= 8 {
		for _, code := range t.Uint16 {
			t.Uint8 = append(t.Uint8, uint8(code))
		}
		t.Uint16 = nil
	}
	return t
}

func matrix(l layout, tensors map[string]checkpoint.Tensor) (packed.Matrix, error) {
	if len(l.Bits) == 0 {
		return packed.FromValues(tensors[weightName(l.Name, "values")].Float32, l.Rows, l.Cols)
	}
	m := packed.Matrix{Rows: l.Rows, Cols: l.Cols}
	for i, bits := range l.Bits {
		m.Planes = append(m.Planes, packed.Plane{
			Bits:   bits,
			Levels: tensors[planeName(l.Name, "levels", i)].Float32,
			Scales: tensors[planeName(l.Name, "scales", i)].Float32,
			Data:   tensors[planeName(l.Name, "codes", i)].Uint8,
		})
	}
	return m, nil
}
