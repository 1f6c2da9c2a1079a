package onnx

import (
	"math"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins"
	"bittern/plugins/packed"
)

// orientation says how a matrix stands in the model.
type orientation string

const (
	rows    orientation = "rows"    // [rows, cols], as the operators LSTM and GRU take it
	columns orientation = "columns" // [cols, rows], as MatMul takes it, and Gather its columns
)

// matrix is a weight of the program in float32: a constant, or what is decoded from its
// codes at every run.
func (c *compiler) matrix(name string, o orientation) (string, error) {
	key := "weight/" + name + "/" + string(o)
	if made, ok := c.made[key]; ok {
		return made, nil
	}
	m := c.weights[name]
	var decoded string
	if len(m.Planes) == 0 || c.options.Weights == Float32 {
		decoded = c.floats(name, laidOut(m.Decode(), m, o), dims(m, o)...)
	} else {
		for i := range m.Planes {
			plane, err := c.plane(name, m, i, o)
			if err != nil {
				return "", err
			}
			if i == 0 {
				decoded = plane
			} else {
				decoded = c.main.op("Add", name, []string{decoded, plane})
			}
		}
	}
	c.made[key] = decoded
	return decoded, nil
}

// laidOut lays out what belongs to the elements of a matrix, which is given row by row.
func laidOut[T any](elements []T, m packed.Matrix, o orientation) []T {
	if o == rows {
		return elements
	}
	turned := make([]T, 0, len(elements))
	for col := range m.Cols {
		for row := range m.Rows {
			turned = append(turned, elements[row*m.Cols+col])
		}
	}
	return turned
}

func dims(m packed.Matrix, o orientation) []int {
	if o == rows {
		return []int{m.Rows, m.Cols}
	}
	return []int{m.Cols, m.Rows}
}

// plane decodes a plane of codes: DequantizeLinear makes levels of integers, or the codes
// are looked up in the levels, and then each is multiplied with its scale, as package packed
// defines it.
//
// The scale is not DequantizeLinear's own. ONNX Runtime (1.30) fuses a DequantizeLinear
// whose output a MatMul takes into a product that rounds what is multiplied to 8 bits, which
// is off by 1e-2, and with INT2 by any amount. A multiplication in between prevents it.
func (c *compiler) plane(name string, m packed.Matrix, plane int, o orientation) (string, error) {
	p := m.Planes[plane]
	codes := laidOut(m.Codes(plane), m, o)
	var levels string
	if integers, ok := wholeNumbers(p.Levels); ok {
		kind, err := c.narrowest(name, integers, signed)
		if err != nil {
			return "", err
		}
		elements := make([]int, len(codes))
		for i, code := range codes {
			elements[i] = integers[code]
		}
		stored := c.initializer(name+"/codes", kind.kind, kind.pack(elements), dims(m, o)...)
		levels = c.main.op("DequantizeLinear", name+"/levels", []string{stored, c.scalar(1)})
	} else {
		kind, err := c.narrowest(name, []int{len(p.Levels) - 1}, unsigned)
		if err != nil {
			return "", err
		}
		elements := make([]int, len(codes))
		for i, code := range codes {
			elements[i] = int(code)
		}
		stored := c.initializer(name+"/codes", kind.kind, kind.pack(elements), dims(m, o)...)
		codebook := c.floats(name+"/codebook", p.Levels, len(p.Levels))
		at := c.main.op("Cast", name+"/at", []string{stored}, integer("to", int64(int32s)))
		levels = c.main.op("Gather", name+"/levels", []string{codebook, at}, integer("axis", 0))
	}
	shape := []int{1}
	if len(p.Scales) > 1 {
		shape = dims(packed.Matrix{Rows: m.Rows, Cols: 1}, o)
	}
	return c.main.op("Mul", name, []string{levels, c.floats(name+"/scale", p.Scales, shape...)}), nil
}

// wholeNumbers are the levels as such, where all are.
func wholeNumbers(levels []float32) ([]int, bool) {
	integers := make([]int, len(levels))
	for i, level := range levels {
		// −0 is 0 as a whole number, and a weight of −0 is none that anybody tells apart.
		if level != float32(math.Trunc(float64(level))) || math.Abs(float64(level)) > math.MaxInt16 {
			return nil, false
		}
		integers[i] = int(level)
	}
	return integers, true
}

// elementType is one that codes are stored as.
type elementType struct {
	kind       onnxpb.TensorProto_DataType
	bits       int
	least, top int
	opset      int64
}

// The types of elements, the narrowest first.
var (
	signed = []elementType{
		{onnxpb.TensorProto_INT2, 2, -2, 1, opsetInt2},
		{onnxpb.TensorProto_INT4, 4, -8, 7, opsetInt4},
		{onnxpb.TensorProto_INT8, 8, math.MinInt8, math.MaxInt8, opsetBase},
		{onnxpb.TensorProto_INT16, 16, math.MinInt16, math.MaxInt16, opsetInt4},
	}
	unsigned = []elementType{
		{onnxpb.TensorProto_UINT2, 2, 0, 3, opsetInt2},
		{onnxpb.TensorProto_UINT4, 4, 0, 15, opsetInt4},
		{onnxpb.TensorProto_UINT8, 8, 0, math.MaxUint8, opsetBase},
		{onnxpb.TensorProto_UINT16, 16, 0, math.MaxUint16, opsetBase},
	}
)

// narrowest is the first type that has room for all elements of a weight and that the
// options allow.
func (c *compiler) narrowest(weight string, elements []int, types []elementType) (elementType, error) {
	for _, t := range types {
		fits := true
		for _, e := range elements {
			fits = fits && e >= t.least && e <= t.top
		}
		if fits && (t.bits == 8 || c.options.Weights != Int8) {
			c.opset = max(c.opset, t.opset)
			return t, nil
		}
	}
	return elementType{}, plugins.Problemf("the codes of the weight %q do not fit into 8 bits; export the network with --weights %s or %s", weight, Packed, Float32)
}

// pack lays elements out as ONNX stores them: one after another, those of less than a
// byte the first in the lowest bits.
func (t elementType) pack(elements []int) []byte {
	if t.bits == 16 {
		words := make([]uint16, len(elements))
		for i, e := range elements {
			words[i] = uint16(e)
		}
		return littleEndian(words)
	}
	each := 8 / t.bits
	raw := make([]byte, (len(elements)+each-1)/each)
	for i, e := range elements {
		raw[i/each] |= byte(e&(1<<t.bits-1)) << (i % each * t.bits)
	}
	return raw
}
