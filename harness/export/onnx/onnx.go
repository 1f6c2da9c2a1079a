// Package onnx writes deployed networks as ONNX models.
//
// A program of package network becomes one graph. The part of a step graph that does not
// depend on its states is computed for all steps at once. Each recurrence becomes an LSTM or
// GRU operator if its equations are exactly those of the operator, whatever model made it, and
// otherwise a Scan. Tables with a row for each time step are looked up by position.
//
// # Inputs and outputs
//
// The model takes the program's inputs under their names, time-major as everywhere:
// tokens int32 [steps, sequences], features float32 [steps, sequences, size], lengths
// int32 [sequences], candidates int32 [sequences, classes]. Its output is "logits",
// float32 [steps, sequences, classes] or [sequences, classes]. They are 0 at steps beyond a
// sequence's length and −∞ for classes that are not candidates. The numbers of steps and
// sequences are free.
//
// With [Options.Carried] sequences go on where they ended. The model then takes "fresh",
// int32 [sequences], 1 for each sequence that starts afresh; "state/STAGE/NAME", float32
// [sequences, size], for each state of a forward scan; and if tables are looked up along
// a stream, "position/STREAM", int64 [sequences], the time steps since the start. It returns
// the inputs of the next call under the same names with "next/" in front. The states and
// positions of sequences that start afresh are ignored.
//
// # Versions
//
// The model asks for the oldest operator set that has what it uses:
//
//	opset 17, IR 8     ONNX 1.12   float32, 8-bit codes
//	opset 21, IR 10    ONNX 1.16   4-bit and 16-bit codes
//	opset 25, IR 13    ONNX 1.20   2-bit codes
//
// All three were tried with ONNX Runtime 1.24 and 1.30; 1.23 refuses the last.
package onnx

import (
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/proto"

	"bittern/harness/export/onnx/internal/onnxpb"
	"bittern/plugins"
	"bittern/plugins/network"
	"bittern/plugins/packed"
)

// Weights says how weights with codes are stored; full-precision ones are float32.
type Weights string

const (
	// Packed stores codes as the narrowest integers that ONNX has for their levels: INT2,
	// INT4, INT8 or INT16. DequantizeLinear turns them into levels. If the levels are not
	// whole numbers, unsigned codes are looked up in a table of levels instead.
	Packed Weights = "packed"
	// Int8 is Packed with 8-bit integers only, which older runtimes can read.
	Int8 Weights = "int8"
	// Float32 stores the values that the codes stand for.
	Float32 Weights = "float32"
)

// Options says how a network is written.
type Options struct {
	Weights  Weights
	Carried  bool   // sequences can go on from call to call
	Version  string // of the program that writes
	Doc      string // for people
	Metadata []Property
}

// Property is a named text in the model's metadata. Names differ.
type Property struct{ Name, Value string }

// Model is an ONNX model.
type Model struct {
	proto *onnxpb.ModelProto
	// Opset is the version of the operator set that a runtime needs.
	Opset int64
	// Recurrences are the operators that the recurrences became, in their order: "LSTM",
	// "GRU" or "Scan".
	Recurrences []string
}

// Compile turns a program into a model. If the options do not allow it, the error is a
// [*plugins.Problem].
func Compile(n network.Network, weights map[string]packed.Matrix, o Options) (*Model, error) {
	if err := n.Validate(weights); err != nil {
		return nil, err
	}
	c := newCompiler(n, weights, o)
	if err := c.program(); err != nil {
		return nil, err
	}
	m := &Model{Opset: c.opset, Recurrences: c.recurrences, proto: &onnxpb.ModelProto{
		IrVersion:       irVersion(c.opset),
		OpsetImport:     []*onnxpb.OperatorSetIdProto{{Version: c.opset}},
		ProducerName:    "bittern",
		ProducerVersion: o.Version,
		DocString:       o.Doc,
		Graph: &onnxpb.GraphProto{
			Name: n.Model, Node: c.main.nodes, Input: c.main.inputs, Output: c.main.outputs, Initializer: c.initializers,
		},
	}}
	for _, p := range o.Metadata {
		m.proto.MetadataProps = append(m.proto.MetadataProps, &onnxpb.StringStringEntryProto{Key: p.Name, Value: p.Value})
	}
	if size := proto.Size(m.proto); size > math.MaxInt32 {
		return nil, plugins.Problemf("the network takes %d bytes as ONNX, and an ONNX file holds at most 2 GiB; export it as safetensors", size)
	}
	return m, nil
}

// The operator sets; see the package documentation.
const (
	opsetBase  = 17
	opsetInt4  = 21
	opsetInt2  = 25
	irBase     = 8
	irOfInt4   = 10
	irOfInt2   = 13
	outputName = "logits"
)

func irVersion(opset int64) int64 {
	switch opset {
	case opsetInt2:
		return irOfInt2
	case opsetInt4:
		return irOfInt4
	}
	return irBase
}

// Write writes the model. The same network always gives the same bytes.
func (m *Model) Write(w io.Writer) error {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.proto)
	if err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	_, err = w.Write(content)
	return err
}
