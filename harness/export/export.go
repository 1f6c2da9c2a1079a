// Package export writes deployed networks as files that other programs read.
//
//	onnx         the network itself, which a runtime computes; see package onnx
//	safetensors  its numbers, under the names of package artifact
//	npz          the same for NumPy
//
// With [onnx.Packed] the numbers of a weight are its codes, one element each, with their levels
// and scales; with [onnx.Float32] they are the values that the codes stand for. The metadata
// says what was trained on what. In the files of numbers it also holds the program that they
// belong to.
package export

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bittern/harness/artifact"
	"bittern/harness/checkpoint"
	"bittern/harness/export/onnx"
	"bittern/harness/store"
	"bittern/plugins"
)

// Format is a format of files.
type Format string

// The formats.
const (
	ONNX        Format = "onnx"
	Safetensors Format = "safetensors"
	NPZ         Format = "npz"
)

// Formats lists all formats, the default first.
var Formats = []Format{ONNX, Safetensors, NPZ}

// Weights lists the ways to store weights, the default first.
var Weights = []onnx.Weights{onnx.Packed, onnx.Int8, onnx.Float32}

// Options says what to write.
type Options struct {
	Format  Format
	Weights onnx.Weights
	Carried bool // see [onnx.Options]; of ONNX alone
}

// Check returns a [*plugins.Problem] if the options do not fit together.
func (o Options) Check() error {
	if err := known("format", o.Format, Formats); err != nil {
		return err
	}
	if err := known("way to store weights", o.Weights, Weights); err != nil {
		return err
	}
	switch {
	case o.Format != ONNX && o.Weights == onnx.Int8:
		return plugins.Problemf("%s has codes as they are or values; use --weights %s or %s, for %s is of ONNX alone", o.Format, onnx.Packed, onnx.Float32, onnx.Int8)
	case o.Format != ONNX && o.Carried:
		return plugins.Problemf("--carried gives an ONNX model inputs and outputs, and %s has numbers alone; leave it out", o.Format)
	}
	return nil
}

func known[T ~string](what string, given T, all []T) error {
	var names []string
	for _, name := range all {
		if name == given {
			return nil
		}
		names = append(names, string(name))
	}
	return plugins.Problemf("there is no %s %q%s; use one of %s", what, given, plugins.DidYouMean(string(given), names), strings.Join(names, ", "))
}

// Write writes the deployed network of an experiment. The same network always gives the same
// bytes. version is that of this program. The summary tells people what was written.
func Write(w io.Writer, n artifact.Network, of store.Experiment, version string, o Options) (summary string, err error) {
	if err := o.Check(); err != nil {
		return "", err
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	about := properties(of)
	switch o.Format {
	case ONNX:
		summary, err = writeONNX(buffered, n, of, version, about, o)
	default:
		about = append(about, onnx.Property{Name: "producer", Value: "bittern " + version}, onnx.Property{Name: "weights", Value: string(o.Weights)})
		summary, err = writeNumbers(buffered, n, about, o)
	}
	if err != nil {
		return "", err
	}
	return summary, buffered.Flush()
}

// properties says what was trained on what.
func properties(of store.Experiment) []onnx.Property {
	list := []onnx.Property{
		{Name: "experiment", Value: of.ID},
		{Name: "task", Value: of.Task},
		{Name: "model", Value: of.Model},
		{Name: "quantizer", Value: of.Quantizer},
		{Name: "seed", Value: strconv.FormatUint(of.Seed, 10)},
		{Name: "steps", Value: strconv.FormatUint(of.Steps, 10)},
		{Name: "config", Value: string(of.Config)},
	}
	if bits := of.BitsPerWeight(); bits > 0 {
		list = append(list, onnx.Property{Name: "bits_per_weight", Value: strconv.FormatFloat(bits, 'g', -1, 64)})
	}
	if of.FrozenModel != nil {
		list = append(list,
			onnx.Property{Name: "metric", Value: of.Metric},
			onnx.Property{Name: "test", Value: strconv.FormatFloat(*of.FrozenModel, 'g', -1, 64)})
	}
	return list
}

func writeONNX(w io.Writer, n artifact.Network, of store.Experiment, version string, about []onnx.Property, o Options) (string, error) {
	model, err := onnx.Compile(n.Program, n.Weights, onnx.Options{
		Weights: o.Weights, Carried: o.Carried, Version: version, Metadata: about,
		Doc: fmt.Sprintf("%s, %s, %s, seed %d, as deployed by bittern", of.Task, of.Model, of.Quantizer, of.Seed),
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ONNX, opset %d, %s", model.Opset, counted(model.Recurrences)), model.Write(w)
}

// counted lists names with how often each occurs, as in "2 LSTM, 1 Scan".
func counted(names []string) string {
	var order []string
	count := map[string]int{}
	for _, name := range names {
		if count[name] == 0 {
			order = append(order, name)
		}
		count[name]++
	}
	if len(order) == 0 {
		return "no recurrence"
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%d %s", count[name], name)
	}
	return strings.Join(order, ", ")
}

// writeNumbers writes the tensors, and the program as JSON among the metadata.
func writeNumbers(w io.Writer, n artifact.Network, about []onnx.Property, o Options) (string, error) {
	form := artifact.PlainCodes
	if o.Weights == onnx.Float32 {
		form = artifact.Values
	}
	program, err := json.Marshal(n.Outline())
	if err != nil {
		return "", err
	}
	metadata := map[string]string{"program": string(program)}
	for _, p := range about {
		metadata[p.Name] = p.Value
	}
	tensors := n.Tensors(form)
	summary := fmt.Sprintf("%s, %d tensors", o.Format, len(tensors))
	if o.Format == Safetensors {
		return summary, checkpoint.WriteTensors(w, tensors, metadata)
	}
	return summary, writeNPZ(w, tensors, metadata)
}
