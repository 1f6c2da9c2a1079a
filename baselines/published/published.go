// Package published holds the numbers that papers printed, as data with their
// source (results.csv), so that a report can set them beside measured ones
// without ever mixing the two.
package published

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Source is where a number was printed.
type Source struct {
	Key      string
	Citation string
}

// Sources lists every source by its key.
var Sources = []Source{
	{"ardakani2019", "Ardakani, Ji, Smithson, Meyer, Gross: Learning Recurrent Binary/Ternary Weights, ICLR 2019 (arXiv 1809.11086)"},
	{"hou2018", "Hou, Kwok: Loss-aware Weight Quantization of Deep Networks, ICLR 2018 (arXiv 1802.08635)"},
	{"hou2019", "Hou, Zhu, Kwok, Gao, Qin, Liu: Normalization Helps Training of Quantized LSTM, NeurIPS 2019, poster (houlu369/Normalized-Quantized-LSTM @8d78467)"},
}

// SizeConvention says what a published size counts and how long its KB is.
type SizeConvention string

const (
	// RecurrentWeights counts the weights of recurrent layers alone, in KB
	// of 1000 bytes (Ardakani et al.).
	RecurrentWeights SizeConvention = "recurrent-1000"
	// Deployed counts weights, biases, normalization parameters and
	// statistics, in KB of 1024 bytes (Hou et al.).
	Deployed SizeConvention = "deployed-1024"
)

// Result is one printed number. HasValue tells a printed value from a row that
// only gives a size. SizeKB is 0 where none was printed. The names in JSON are
// those of the columns of results.csv.
//
// Normalization is "none", "weight", "layer", "batch-shared" (one set of
// statistics), "batch" (statistics per time step) or "batch-cell" (Ardakani et
// al.'s, which normalizes the cell too, scored with statistics of each batch). Layers
// that are Bidirectional read a sequence both ways. Cell and normalization are in the
// words of model.Setting. Quantizer is the name of a plugin and Options are those of its
// options that the number is of, such as bits; the others do not matter.
type Result struct {
	Source         string            `json:"source"`
	Task           string            `json:"task"`
	Data           string            `json:"data"`
	Cell           string            `json:"cell"`
	Units          int               `json:"units"`
	Layers         int               `json:"layers"`
	Bidirectional  bool              `json:"bidirectional"`
	Quantizer      string            `json:"quantizer"`
	Options        map[string]string `json:"options,omitempty"`
	Bits           int               `json:"bits"`
	Normalization  string            `json:"normalization"`
	Metric         string            `json:"metric"`
	Value          float64           `json:"value"`
	HasValue       bool              `json:"has_value"`
	Verified       bool              `json:"verified"` // read in a source that prints it, not recalled
	SizeKB         float64           `json:"size_kb,omitempty"`
	SizeConvention SizeConvention    `json:"size_convention,omitempty"`
	Note           string            `json:"note,omitempty"`
}

//go:embed results.csv
var resultsCSV []byte

// Results returns every published number in the order of results.csv.
func Results() ([]Result, error) {
	reader := csv.NewReader(bytes.NewReader(resultsCSV))
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("published results: %w", err)
	}
	var results []Result
	for {
		record, err := reader.Read()
		if err == io.EOF {
			return results, nil
		}
		if err != nil {
			return nil, fmt.Errorf("published results: %w", err)
		}
		row := make(map[string]string, len(header))
		for i, name := range header {
			row[name] = record[i]
		}
		result, err := parse(row)
		if err != nil {
			line, _ := reader.FieldPos(0)
			return nil, fmt.Errorf("published results, line %d: %w", line, err)
		}
		results = append(results, result)
	}
}

func parse(row map[string]string) (Result, error) {
	r := Result{
		Source: row["source"], Task: row["task"], Data: row["data"], Cell: row["cell"], Quantizer: row["quantizer"],
		Normalization: row["normalization"], Metric: row["metric"], HasValue: row["value"] != "",
		SizeConvention: SizeConvention(row["size_convention"]), Note: row["note"],
	}
	switch row["bidirectional"] {
	case "true":
		r.Bidirectional = true
	case "false":
	default:
		return r, fmt.Errorf("bidirectional is %q, not true or false", row["bidirectional"])
	}
	switch row["verified"] {
	case "yes":
		r.Verified = true
	case "no":
	default:
		return r, fmt.Errorf("verified is %q, not yes or no", row["verified"])
	}
	for _, option := range strings.Fields(row["options"]) {
		name, value, ok := strings.Cut(option, "=")
		if !ok {
			return r, fmt.Errorf("options has %q, which is not name=value", option)
		}
		if r.Options == nil {
			r.Options = make(map[string]string)
		}
		r.Options[name] = value
	}
	for name, field := range map[string]*int{"units": &r.Units, "layers": &r.Layers, "bits": &r.Bits} {
		n, err := strconv.Atoi(row[name])
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		*field = n
	}
	for name, field := range map[string]*float64{"value": &r.Value, "size_kb": &r.SizeKB} {
		if row[name] == "" {
			continue
		}
		f, err := strconv.ParseFloat(row[name], 64)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		*field = f
	}
	return r, nil
}

// Setting names what a measured number can be held against: Cell, Units, Layers,
// Bidirectional and Normalization are settings of the network, as its model tells them.
type Setting struct {
	Task          string
	Data          string // name of the data set
	Cell          string
	Units, Layers int
	Bidirectional bool
	Quantizer     string
	Options       map[string]string // of the quantizer, all of them
	Normalization string
}

// For returns the published numbers of the same setting: same task, data set, cell,
// directions and size, same quantizer with the options of the number, same normalization.
func For(e Setting) ([]Result, error) {
	all, err := Results()
	if err != nil {
		return nil, err
	}
	var matching []Result
	for _, r := range all {
		if r.HasValue && r.of(e) {
			matching = append(matching, r)
		}
	}
	return matching, nil
}

func (r Result) of(e Setting) bool {
	for name, value := range r.Options {
		if given, ok := e.Options[name]; !ok || given != value {
			return false
		}
	}
	return r.Task == e.Task && r.Data == e.Data && r.Cell == e.Cell && r.Units == e.Units && r.Layers == e.Layers &&
		r.Bidirectional == e.Bidirectional && r.Quantizer == e.Quantizer && r.Normalization == e.Normalization
}
