package onnx

import (
	"encoding/binary"
	"fmt"
	"strings"

	"bittern/harness/export/onnx/internal/onnxpb"
)

// block is a graph under construction: the model's, or the body of a Scan, in which
// the names of the model's graph are known too.
type block struct {
	names   *names // shared by all blocks of a model
	nodes   []*onnxpb.NodeProto
	inputs  []*onnxpb.ValueInfoProto
	outputs []*onnxpb.ValueInfoProto
}

// names keeps the names of values apart.
type names struct{ taken map[string]bool }

// fresh is a name that no value has yet, made of the wanted one: in letters, digits and a
// few signs, for tools that write names to files or to program text.
func (n *names) fresh(wanted string) string {
	wanted = strings.Map(func(r rune) rune {
		if r < 128 && (r == '.' || r == '/' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z') {
			return r
		}
		return '_'
	}, wanted)
	name := wanted
	for i := 2; n.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", wanted, i)
	}
	n.taken[name] = true
	return name
}

// op adds a node with one output and returns the output's name, which is like the
// wanted one. A node with fewer inputs than its operator may have is given "" for those
// left out in between.
func (b *block) op(operator, wanted string, inputs []string, attributes ...*onnxpb.AttributeProto) string {
	return b.ops(operator, []string{wanted}, inputs, attributes...)[0]
}

// ops is op with several outputs; those that are wanted under no name are left out.
func (b *block) ops(operator string, wanted, inputs []string, attributes ...*onnxpb.AttributeProto) []string {
	outputs := make([]string, len(wanted))
	for i, name := range wanted {
		if name != "" {
			outputs[i] = b.names.fresh(name)
		}
	}
	b.node(operator, outputs, inputs, attributes...)
	return outputs
}

// node adds a node with outputs of exactly these names.
func (b *block) node(operator string, outputs, inputs []string, attributes ...*onnxpb.AttributeProto) {
	for len(outputs) > 1 && outputs[len(outputs)-1] == "" {
		outputs = outputs[:len(outputs)-1]
	}
	name := ""
	for _, output := range outputs {
		if name == "" {
			name = output
		}
	}
	b.nodes = append(b.nodes, &onnxpb.NodeProto{OpType: operator, Name: name, Input: inputs, Output: outputs, Attribute: attributes})
}

func (b *block) input(name string, kind onnxpb.TensorProto_DataType, dims ...any) {
	b.inputs = append(b.inputs, valueInfo(name, kind, dims))
}

func (b *block) output(name string, kind onnxpb.TensorProto_DataType, dims ...any) {
	b.outputs = append(b.outputs, valueInfo(name, kind, dims))
}

// valueInfo describes a value; a dimension is a number, or the name of one.
func valueInfo(name string, kind onnxpb.TensorProto_DataType, dims []any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, dim := range dims {
		d := &onnxpb.TensorShapeProto_Dimension{}
		switch dim := dim.(type) {
		case int:
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(dim)}
		case string:
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: dim}
		default:
			panic(fmt.Sprintf("onnx: %v is no dimension", dim))
		}
		shape.Dim = append(shape.Dim, d)
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: int32(kind), Shape: shape},
	}}}
}

func integer(name string, value int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttributeProto_INT, I: value}
}

func number(name string, value float64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttributeProto_FLOAT, F: float32(value)}
}

func text(name, value string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttributeProto_STRING, S: []byte(value)}
}

func integers(name string, values ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttributeProto_INTS, Ints: values}
}

func body(name string, g *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: name, Type: onnxpb.AttributeProto_GRAPH, G: g}
}

// initializer adds a constant of the model and returns its name, which is like the
// wanted one.
func (c *compiler) initializer(wanted string, kind onnxpb.TensorProto_DataType, raw []byte, dims ...int) string {
	t := &onnxpb.TensorProto{Name: c.main.names.fresh(wanted), DataType: int32(kind), RawData: raw}
	for _, dim := range dims {
		t.Dims = append(t.Dims, int64(dim))
	}
	c.initializers = append(c.initializers, t)
	return t.Name
}

func (c *compiler) floats(wanted string, values []float32, dims ...int) string {
	return c.initializer(wanted, onnxpb.TensorProto_FLOAT, littleEndian(values), dims...)
}

// scalar is a constant number, made once.
func (c *compiler) scalar(value float32) string {
	return c.once(fmt.Sprintf("constant/%v", value), func(name string) string { return c.floats(name, []float32{value}) })
}

// list is a constant of whole numbers, made once.
func (c *compiler) list(values ...int64) string {
	return c.once(fmt.Sprintf("constants/%v", values), func(name string) string {
		return c.initializer(name, onnxpb.TensorProto_INT64, littleEndian(values), len(values))
	})
}

// index is a constant whole number without dimensions, made once.
func (c *compiler) index(value int64) string {
	return c.once(fmt.Sprintf("index/%d", value), func(name string) string {
		return c.initializer(name, onnxpb.TensorProto_INT64, littleEndian([]int64{value}))
	})
}

// once makes a value of the model's graph the first time that it is asked for, and
// returns its name.
func (c *compiler) once(key string, make func(wanted string) string) string {
	if _, made := c.made[key]; !made {
		c.made[key] = make(key)
	}
	return c.made[key]
}

func littleEndian[T float32 | int64 | int16 | uint16](values []T) []byte {
	raw, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err) // only for types without a fixed size
	}
	return raw
}
