// Package artifact keeps deployed networks on disk: all that a machine needs to
// run one, and nothing else.
//
// An artifact is a folder of two files. graph.json describes one time step and
// the layout of its weights; deployed.safetensors holds every number of it:
//
//	weight/NAME/codes    U8  [rows, bytes of a packed row]   see package packed
//	weight/NAME/levels   F32 [levels], or [rows, levels] for a codebook per row
//	weight/NAME/values   F32 [rows, cols]   in place of both at full precision
//	table/NODE/scale     F32 [time steps, size]   normalization, biases
//	table/NODE/shift     F32 [time steps, size]
//	state/NAME           F32 [size]   value before the first step
package artifact

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"bittern/harness/checkpoint"
	"bittern/harness/internal/diskfault"
	"bittern/plugins"
	"bittern/plugins/packed"
	"bittern/plugins/stepgraph"
)

// Network is a deployed network: its graph and the weights the graph names.
type Network struct {
	Graph   stepgraph.Graph
	Weights map[string]packed.Matrix
}

const (
	graphName   = "graph.json"
	tensorsName = "deployed.safetensors"
)

// document is graph.json: the graph without its numbers.
type document struct {
	Graph   stepgraph.Graph `json:"graph"`
	Weights []layout        `json:"weights"`
}

type layout struct {
	Name   string `json:"name"`
	Rows   int    `json:"rows"`
	Cols   int    `json:"cols"`
	Bits   int    `json:"bits"`
	PerRow bool   `json:"per_row,omitempty"`
}

// Bytes is what the deployed network takes: its codes with their padding, its
// levels, tables and initial states.
func (n Network) Bytes() int64 {
	total := n.Graph.TableBytes() + n.Graph.StateBytes()
	for _, m := range n.Weights {
		total += m.CodeBytes() + m.LevelBytes()
	}
	return int64(total)
}

// Write saves the network in a folder, which is made where it does not exist.
func Write(folder string, n Network) error {
	if err := n.Graph.Validate(n.Weights); err != nil {
		return err
	}
	doc := document{Graph: n.Graph}
	var tensors []checkpoint.Tensor
	for _, name := range slices.Sorted(maps.Keys(n.Weights)) {
		m := n.Weights[name]
		doc.Weights = append(doc.Weights, layout{Name: name, Rows: m.Rows, Cols: m.Cols, Bits: m.Bits, PerRow: m.PerRow})
		tensors = append(tensors, weightTensors(name, m)...)
	}
	doc.Graph.Nodes = slices.Clone(n.Graph.Nodes)
	for i := range doc.Graph.Nodes {
		node := &doc.Graph.Nodes[i]
		for kind, table := range tables(node) {
			if table.Rows > 0 {
				tensors = append(tensors, checkpoint.Tensor{Name: tableName(node.Name, kind), Shape: []int{table.Rows, node.Size}, Float32: table.Values})
				table.Values = nil
			}
		}
	}
	doc.Graph.States = slices.Clone(n.Graph.States)
	for i := range doc.Graph.States {
		state := &doc.Graph.States[i]
		tensors = append(tensors, checkpoint.Tensor{Name: stateName(state.Name), Shape: []int{state.Size}, Float32: state.Init})
		state.Init = nil
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return diskfault.Explain(err, folder)
	}
	if err := checkpoint.WriteFile(filepath.Join(folder, tensorsName), tensors); err != nil {
		return err
	}
	path := filepath.Join(folder, graphName)
	return diskfault.Explain(renameio.WriteFile(path, append(text, '\n'), 0o644, renameio.WithTempDir(folder)), path)
}

// Read loads the network from a folder. What is missing or damaged there is a
// *plugins.Problem.
func Read(folder string) (Network, error) {
	path := filepath.Join(folder, graphName)
	text, err := os.ReadFile(path)
	if err != nil {
		return Network{}, plugins.Problemf("the deployed network cannot be read (%v); train the experiment again with --again", err)
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		return Network{}, damaged(path, err)
	}
	list, err := checkpoint.ReadFile(filepath.Join(folder, tensorsName))
	if err != nil {
		return Network{}, err
	}
	tensors := make(map[string]checkpoint.Tensor, len(list))
	for _, t := range list {
		tensors[t.Name] = t
	}
	n := Network{Graph: doc.Graph, Weights: make(map[string]packed.Matrix, len(doc.Weights))}
	for _, l := range doc.Weights {
		m, err := matrix(l, tensors)
		if err != nil {
			return Network{}, damaged(path, err)
		}
		n.Weights[l.Name] = m
	}
	for i := range n.Graph.Nodes {
		node := &n.Graph.Nodes[i]
		for kind, table := range tables(node) {
			table.Values = tensors[tableName(node.Name, kind)].Float32
		}
	}
	for i := range n.Graph.States {
		n.Graph.States[i].Init = tensors[stateName(n.Graph.States[i].Name)].Float32
	}
	// Validation notices every tensor that is missing or of another size.
	if err := n.Graph.Validate(n.Weights); err != nil {
		return Network{}, damaged(path, err)
	}
	return n, nil
}

func damaged(path string, err error) error {
	return plugins.Problemf("the deployed network %s is damaged (%v); train the experiment again with --again", path, err)
}

func tables(n *stepgraph.Node) map[string]*stepgraph.Table {
	return map[string]*stepgraph.Table{"scale": &n.Scale, "shift": &n.Shift}
}

func tableName(node, kind string) string    { return "table/" + node + "/" + kind }
func stateName(state string) string         { return "state/" + state }
func weightName(weight, kind string) string { return "weight/" + weight + "/" + kind }

func weightTensors(name string, m packed.Matrix) []checkpoint.Tensor {
	if m.Bits == packed.FullPrecision {
		return []checkpoint.Tensor{{Name: weightName(name, "values"), Shape: []int{m.Rows, m.Cols}, Float32: m.Decode()}}
	}
	levels := []int{len(m.Levels)}
	if m.PerRow {
		levels = []int{m.Rows, len(m.Levels) / m.Rows}
	}
	return []checkpoint.Tensor{
		{Name: weightName(name, "codes"), Shape: []int{m.Rows, m.RowBytes()}, Uint8: m.Data},
		{Name: weightName(name, "levels"), Shape: levels, Float32: m.Levels},
	}
}

func matrix(l layout, tensors map[string]checkpoint.Tensor) (packed.Matrix, error) {
	if l.Bits == packed.FullPrecision {
		return packed.FromValues(tensors[weightName(l.Name, "values")].Float32, l.Rows, l.Cols)
	}
	return packed.Matrix{
		Rows: l.Rows, Cols: l.Cols, Bits: l.Bits, PerRow: l.PerRow,
		Data:   tensors[weightName(l.Name, "codes")].Uint8,
		Levels: tensors[weightName(l.Name, "levels")].Float32,
	}, nil
}
