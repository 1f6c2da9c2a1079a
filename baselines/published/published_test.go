package published

import (
	"math"
	"slices"
	"testing"
)

func TestResultsAreComplete(t *testing.T) {
	t.Parallel()
	results, err := Results()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range Sources {
		known[s.Key] = true
	}
	for _, r := range results {
		if !known[r.Source] {
			t.Errorf("%+v: source is not listed", r)
		}
		if !r.HasValue && r.SizeKB == 0 {
			t.Errorf("%+v: neither a value nor a size", r)
		}
		if (r.SizeKB == 0) != (r.SizeConvention == "") {
			t.Errorf("%+v: a size needs its convention and the other way round", r)
		}
	}
}

// houSize is the size in KB of 1024 bytes that reproduces Hou et al.'s poster:
// V input symbols, d units, L steps, v = 16d and c = 4d bytes.
func houSize(r Result, symbols, length int) float64 {
	d := float64(r.Units)
	v, c, l := 16*d, 4*d, float64(length)
	bytes := 4*d*(float64(symbols)+d)*float64(r.Bits)/8 + v
	switch r.Normalization {
	case "weight":
		bytes += 2 * v
	case "layer":
		bytes += 4 * v
	case "batch-shared":
		bytes += 8 * v
	case "batch":
		bytes += 4*v + 4*v*l
	case "batch-cell":
		bytes += 4*v + 4*v*l + 2*c + 2*c*l
	}
	return bytes / 1024
}

func TestSizesFollowTheFormula(t *testing.T) {
	t.Parallel()
	results, err := Results()
	if err != nil {
		t.Fatal(err)
	}
	sizes, off := 0, 0
	for _, r := range results {
		if r.Source != "hou2019" {
			continue
		}
		sizes++
		symbols, length := 0, 100
		switch r.Data {
		case "warpeace":
			symbols = 87 // bytes, not characters
		case "ptb-char":
			symbols = 50
		case "text8":
			symbols, length = 27, 180
		case "ptb-word":
			symbols, length = r.Units, 35
		}
		if got := houSize(r, symbols, length); math.Abs(got-r.SizeKB) >= 1 {
			off++
			if r.Note == "" {
				t.Errorf("%s %s %s: formula %.1f KB, printed %.0f KB", r.Data, r.Quantizer, r.Normalization, got, r.SizeKB)
			}
		}
	}
	if sizes != 78 || off != 2 {
		t.Errorf("%d sizes of which %d differ from the formula, want 78 and the 2 noted slips", sizes, off)
	}
}

// The paper's full-precision sizes are 32 times its rounded binary ones.
func TestPaperSizesCountRecurrentWeights(t *testing.T) {
	t.Parallel()
	results, err := Results()
	if err != nil {
		t.Fatal(err)
	}
	symbols := map[string]int{"linux": 101, "warpeace": 83, "ptb-char": 50, "text8": 27}
	checked := 0
	for _, r := range results {
		v, ok := symbols[r.Data]
		if r.SizeConvention != RecurrentWeights || !ok {
			continue
		}
		checked++
		binary := math.Round(4 * float64(r.Units) * float64(r.Units+v) / 8 / 1000)
		if want := binary * float64(r.Bits); r.SizeKB != want {
			t.Errorf("%s %s: printed %v KB, 4·units·(units+inputs)·bits/8/1000 gives %v", r.Data, r.Quantizer, r.SizeKB, want)
		}
	}
	if checked != 12 {
		t.Errorf("checked %d sizes, want 12", checked)
	}
}

func TestForMatchesTheExperiment(t *testing.T) {
	t.Parallel()
	got, err := For(Setting{Task: "characters", Data: "warpeace", Cell: "LSTM", Units: 512, Layers: 1, Quantizer: "stochastic-ternary", Normalization: "batch-cell"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Value != 1.72 || got[1].Value != 1.72 {
		t.Errorf("got %+v, want both sources' 1.72", got)
	}
	none, err := For(Setting{Task: "characters", Data: "warpeace", Cell: "LSTM", Units: 128, Layers: 1, Quantizer: "stochastic-ternary", Normalization: "batch"})
	if err != nil || len(none) != 0 {
		t.Errorf("got %v, %v for a size nobody published", none, err)
	}
}

// What was published of one task on a data set is not held against another task on it.
func TestTasksOnTheSameDataStayApart(t *testing.T) {
	t.Parallel()
	for task, want := range map[string]int{"smnist": 1, "psmnist": 0} {
		got, err := For(Setting{Task: task, Data: "mnist", Cell: "LSTM", Units: 100, Layers: 1, Quantizer: "stochastic-binary", Normalization: "batch-cell"})
		if err != nil || len(got) != want {
			t.Errorf("%s: %d results, %v; want %d", task, len(got), err, want)
		}
	}
}

// A network that reads both ways is not held against one that reads forward.
func TestDirectionsStayApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		task, data    string
		units         int
		bidirectional bool
		want          int
	}{{"smnist", "mnist", 100, false, 1}, {"smnist", "mnist", 100, true, 0}, {"cnn-qa", "cnn-qa", 256, false, 0}, {"cnn-qa", "cnn-qa", 256, true, 1}} {
		got, err := For(Setting{Task: c.task, Data: c.data, Cell: "LSTM", Units: c.units, Layers: 1, Bidirectional: c.bidirectional, Quantizer: "stochastic-binary", Normalization: "batch-cell"})
		if err != nil || len(got) != c.want {
			t.Errorf("%+v: %d results, %v; want %d", c, len(got), err, c.want)
		}
	}
}

// Every normalization of the results is one that a model may name.
func TestNormalizationsAreSettings(t *testing.T) {
	t.Parallel()
	known := []string{"none", "weight", "layer", "batch", "batch-shared", "batch-cell"}
	results, err := Results()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !slices.Contains(known, r.Normalization) || r.Cell != "LSTM" {
			t.Errorf("no model names itself %q with the normalization %q of %+v", r.Cell, r.Normalization, r)
		}
	}
	for quantizer, want := range map[string]float64{"none": 1.69, "binaryconnect": 1.69} {
		got, err := For(Setting{Task: "characters", Data: "warpeace", Cell: "LSTM", Units: 512, Layers: 1, Quantizer: quantizer, Normalization: "layer"})
		if err != nil || len(got) != 1 || got[0].Value != want {
			t.Errorf("%s with layer normalization: %+v, %v, want the poster's %v", quantizer, got, err, want)
		}
	}
}

// What was published of a quantizer with some bits is held against no other number of bits.
func TestOptionsStayApart(t *testing.T) {
	t.Parallel()
	setting := Setting{Task: "words", Data: "ptb-word", Cell: "LSTM", Units: 300, Layers: 1, Quantizer: "alternating", Normalization: "none"}
	for bits, want := range map[string][]float64{"2": {103.1, 103.1}, "3": {93.8}, "4": {91.4}, "5": nil, "": nil} {
		if setting.Options = map[string]string{"bits": bits, "cycles": "2"}; bits == "" {
			delete(setting.Options, "bits")
		}
		got, err := For(setting)
		if err != nil {
			t.Fatal(err)
		}
		var values []float64
		for _, r := range got {
			values = append(values, r.Value)
		}
		if !slices.Equal(values, want) {
			t.Errorf("options %v: %v, want %v", setting.Options, values, want)
		}
	}
}

// The cross-entropies in nats of Hou & Kwok 2018 for BinaryConnect are the BPC that both
// other papers print: what is recalled of one is held against what was read in another.
func TestRecalledCrossEntropiesAgree(t *testing.T) {
	t.Parallel()
	results, err := Results()
	if err != nil {
		t.Fatal(err)
	}
	printed := map[string]float64{"warpeace": 4.24, "linux": 5.10, "ptb-char": 2.51}
	for _, r := range results {
		if r.Source == "hou2018" && r.Verified {
			t.Errorf("%+v is marked as read in its source, and was not", r)
		}
		if r.Source == "hou2018" && r.Quantizer == "binaryconnect" {
			if math.Abs(r.Value-printed[r.Data]) > 0.006 {
				t.Errorf("%s: %v BPC, others print %v", r.Data, r.Value, printed[r.Data])
			}
			delete(printed, r.Data)
		}
	}
	if len(printed) > 0 {
		t.Errorf("nothing to hold against %v", printed)
	}
}
